# make book       install, execute the chapters, build the site
# make serve      the same, then show it on this machine
# make test       the whole test suite, site and browser included
# make test-code  the part of it that needs no browser and no book
# make test-slow  what takes minutes more, site and browser included: every week, and before a release
# make test-fast  what is quick of the library's tests: no browser, no book
# make lint       ruff, and mypy on what other programs use
# make reproduce  run all quick experiments, and list the claims of the paper that they support
# make colab      run the chapters with the versions that Colab has (COLAB="--python PROGRAM NAME==VERSION": other ones)
# make install    the virtual environment alone
# make freeze     requirements.txt and requirements-hashed.txt from requirements.in
# make dist       the library's archives for a package index, and the book as a zip, in dist/
# make epub       the book for e-readers, in dist/
# make clean      remove everything that was built (the virtual environment stays)
# make help       these lines

PYTHON ?= $(shell python3.11 -c "" 2>/dev/null && echo python3.11 || echo python3)
PORT   ?= 8000

VENV      := .venv
BIN       := $(VENV)/bin
INSTALLED := $(VENV)/installed

# what guards values, derivatives, losses and training; the rest of tests/ takes minutes
FAST := $(addprefix tests/,test_package.py test_torch.py test_files.py test_functions.py test_models.py test_derivatives.py \
	test_closed_form.py test_data.py test_labels.py test_losses.py test_stochastic.py test_errors.py test_scaling.py \
	test_identity.py test_bad_input.py test_docstrings.py theory)

# Else each of dozens of processes would compile the library and the tests anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: book serve test test-code test-slow test-fast lint reproduce colab install freeze dist epub clean help

book: $(INSTALLED)
	@$(BIN)/python scripts/build_book.py

serve: book
	@echo "The book is at http://127.0.0.1:$(PORT)/ (stop with Ctrl-C)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

# The book and the tests that need none of it, at once: alone, neither keeps two cores busy.
test: $(INSTALLED)
	@$(BIN)/python scripts/browser.py --install
	@$(MAKE) --no-print-directory --jobs=2 book test-code
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m "browser and not slow" tests/book tests/widgets

test-code: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not browser"

test-slow: book
	@$(BIN)/python scripts/browser.py --install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m slow

test-fast: $(INSTALLED)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -q -m "not slow and not browser" $(FAST)

lint: $(INSTALLED)
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m mypy

reproduce: $(INSTALLED)
	@OMP_NUM_THREADS=1 $(BIN)/python -m sobolev_lib.experiments all

colab:
	@$(PYTHON) scripts/colab.py install $(COLAB)
	OMP_NUM_THREADS=1 _build/colab/bin/python scripts/run_chapters.py

install: $(INSTALLED)

help:
	@sed -n 's/^# \(make .*\)/\1/p' $(firstword $(MAKEFILE_LIST))

freeze:
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.in -c requirements.txt
	$(BIN)/python -m pip install --quiet uv
	@$(BIN)/python scripts/freeze.py

# Runs again only when the pins or the package's own needs have changed.
# The second line installs PyTorch alone, in the build for this machine: for that there are no hashes (scripts/freeze.py).
$(INSTALLED): requirements.txt requirements-hashed.txt pyproject.toml
	@$(PYTHON) scripts/check_python.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements-hashed.txt
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

dist: book
	$(BIN)/python -m pip install --quiet build
	@rm -rf dist
	$(BIN)/python -m build --outdir dist
	@$(BIN)/python scripts/offline.py dist

epub: book
	@$(BIN)/python scripts/browser.py --install
	@$(BIN)/python scripts/build_epub.py dist

clean:
	rm -rf _build book/assets-generated build dist *.egg-info .pytest_cache
