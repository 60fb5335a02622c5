"""Parts of the page that draw themselves in the browser: plain DOM, no framework, no build step."""
