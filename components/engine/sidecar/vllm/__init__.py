"""vLLM, run beside this application: found or installed, given the checkpoint as it reads it, started and watched."""
