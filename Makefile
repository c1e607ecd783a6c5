# make book    install, execute the chapters, build the site
# make serve   the same, then show it on this machine
# make test    the whole test suite, site and browser included
# make test-fast   what is quick of the library's tests: no browser, no book
# make lint    ruff, and mypy on what other programs use
# make freeze  requirements.txt from requirements.in
# make clean   remove everything that was built (the virtual environment stays)

PYTHON ?= $(shell python3.11 -c "" 2>/dev/null && echo python3.11 || echo python3)
PORT   ?= 8000

VENV      := .venv
BIN       := $(VENV)/bin
INSTALLED := $(VENV)/installed

# what guards values, derivatives, losses and training; the rest of tests/ takes minutes
FAST := $(addprefix tests/,test_package.py test_torch.py test_files.py test_functions.py test_models.py test_derivatives.py \
	test_closed_form.py test_data.py test_labels.py test_losses.py test_stochastic.py test_errors.py test_scaling.py \
	test_identity.py test_bad_input.py test_docstrings.py theory)

.PHONY: book serve test test-fast lint freeze clean

book: $(INSTALLED)
	@$(BIN)/python scripts/build_book.py

serve: book
	@echo "The book is at http://127.0.0.1:$(PORT)/ (stop with Ctrl-C)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

test: $(INSTALLED)
	@$(BIN)/python scripts/browser.py --install
	@$(BIN)/python scripts/build_book.py
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not browser"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m "browser and not slow"

test-fast: $(INSTALLED)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -q -m "not slow and not browser" $(FAST)

lint: $(INSTALLED)
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m mypy

freeze:
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.in -c requirements.txt
	@$(BIN)/python scripts/freeze.py

# Runs again only when the pins or the package's own needs have changed.
$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) scripts/check_python.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf _build book/assets-generated build *.egg-info .pytest_cache
