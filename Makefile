# make book    install, execute the chapters, build the site
# make serve   the same, then show it on this machine
# make test    the whole test suite, site and browser included
# make clean   remove everything that was built (the virtual environment stays)

PYTHON ?= $(shell python3.11 -c "" 2>/dev/null && echo python3.11 || echo python3)
PORT   ?= 8000

VENV      := .venv
BIN       := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: book serve test clean

book: $(INSTALLED)
	@$(BIN)/python scripts/build_book.py

serve: book
	@echo "The book is at http://127.0.0.1:$(PORT)/ (stop with Ctrl-C)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

test: $(INSTALLED)
	@$(BIN)/python scripts/browser.py --install
	@$(BIN)/python scripts/build_book.py
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

# Runs again only when the pins or the package's own needs have changed.
$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) scripts/check_python.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf _build book/assets-generated build *.egg-info .pytest_cache
