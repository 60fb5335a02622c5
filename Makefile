# make run   chat at http://127.0.0.1:6006 (installs everything first; fetches a small demo model if there is none)
# make test  all checks and tests (installs what they need first)
# make bench measurements beside a plain loop (ARGS=--help says what it can do)
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := run
.PHONY: broken run install test bench lint format docs pictures clean

# Images often set it. What the tests start, a hundred programs with large libraries, would be compiled anew each time.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
# Not PYTHON: that is who names a Python to make the environment with, for scripts/find-python.
VENV_PYTHON := $(VENV)/bin/python
CLIENTS := .venv-clients

run: install
	@$(VENV_PYTHON) download.py --source demo --if-none
	@exec $(VENV_PYTHON) -m streamlit run app.py

install: $(VENV)/installed

# A folder that holds a broken or half-made environment is made anew, also where the Python that made it has gone since.
$(VENV)/installed: requirements.txt scripts/find-python scripts/torch-index \
  $(if $(shell $(VENV_PYTHON) -c pass 2>&1 || echo broken),broken)
	@$(VENV_PYTHON) -m pip --version >/dev/null 2>&1 || { \
	python="$$(bash scripts/find-python)" && "$$python" -m venv --clear $(VENV); }
	@echo "Installing into $(VENV) (a few minutes the first time) …"
	@index="$$(bash scripts/torch-index $(VENV_PYTHON))"; \
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements.txt $${index:+--extra-index-url "$$index"}
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Clients that others wrote, for tests/clients, apart so that what they need disturbs nothing. Their requirements are
# complete but for torch, which is large: what is missing there comes from the application's environment.
$(CLIENTS)/installed: tests/clients/requirements.txt tests/clients/ai_sdk/package-lock.json | $(VENV)/installed
	@echo "Installing the clients for the tests into $(CLIENTS) (a minute) …"
	@$(VENV_PYTHON) -m venv --clear $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile -r $<
	@$(VENV_PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	>"$$(echo $(CLIENTS)/lib/python*/site-packages)/application.pth"
	@$(CLIENTS)/bin/npm ci --prefix tests/clients/ai_sdk --no-audit --no-fund --silent
	@touch $@

test: lint $(CLIENTS)/installed
	@bash scripts/install-test-tools
	@$(VENV_PYTHON) -m pytest --numprocesses auto --dist loadgroup --no-loadscope-reorder

bench: $(VENV)/installed-dev
	@bash scripts/install-test-tools
	@$(VENV_PYTHON) download.py --source demo --if-none
	@$(VENV_PYTHON) -m bench $(ARGS)

lint: $(VENV)/installed-dev
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m mypy
	@$(VENV)/bin/lint-imports --no-cache

format: $(VENV)/installed-dev
	@$(VENV_PYTHON) -m ruff format .
	@$(VENV_PYTHON) -m ruff check --fix .

docs: $(VENV)/installed
	@$(VENV_PYTHON) scripts/update_docs.py

pictures: $(VENV)/installed-dev
	@bash scripts/install-test-tools
	@$(VENV_PYTHON) scripts/take_pictures.py

clean:
	rm -rf $(VENV) $(CLIENTS) tests/clients/ai_sdk/node_modules
