# make run     everything on this machine, the demo clip where there is no camera; make run SOURCE=film.mp4
# make test    the whole suite, with the development tools (CPU torch among them)
# make check   lint, format and types
# make docs    the documentation, into site/
# make chaos   the delivery under N seeded schedules of disturbances, from SEED on, and a tenth as many rounds of the drill of
#              backup, restore, replay and damage; the last line of each holds its figures
# make proof   every long proof in turn, from SEED on; its figures go into docs/explanation/proof.md
# make audit   known faults of what is installed; needs the internet
# make sbom    a release's files in dist/: wheel, source, bill of materials (CycloneDX), hashes; needs the internet

PYTHON ?= python3
SOURCE ?=
BIN := .venv/bin

# test files that run at the same time: much of their time is waiting; in the order of their names, so that the long
# ones of browser, chaos, contract and integration come first, and the short ones of unit fill up the end
WORKERS ?= 3
N ?= 100
SEED ?= 1

.PHONY: run test check docs format chaos proof audit sbom

# at a terminal Ctrl-C goes to mien alone, so that make sees how it ends instead of being interrupted itself
run: .venv/run
	@if [ -t 0 ]; then bash -mc '"$$0" "$$@"' $(BIN)/mien up $(SOURCE); else $(BIN)/mien up $(SOURCE); fi

test: .venv/dev .venv/bqemulator/complete
	$(BIN)/python -m compileall -q src
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: .venv/dev
	$(BIN)/ruff check --no-cache
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff check --no-cache --fix
	$(BIN)/ruff format

docs: .venv/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

chaos: .venv/dev
	$(BIN)/python tests/chaos/run.py --schedules $(N) --seed $(SEED)
	$(BIN)/python tests/chaos/drill.py --rounds $$(( ($(N) + 9) / 10 )) --seed $(SEED)

proof: .venv/dev
	$(BIN)/python benchmarks/proof.py --seed $(SEED)

audit: .venv/dev
	$(BIN)/pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/pip-audit --skip-editable --progress-spinner off

# what somebody gets who installs the wheel with all extras today, in an environment of its own
sbom: .venv/dev
	rm -rf dist .venv/sbom .venv/cyclonedx
	$(BIN)/python -m build --outdir dist
	$(PYTHON) -m venv --without-pip .venv/sbom
	$(BIN)/python -m pip --python .venv/sbom/bin/python install --quiet --disable-pip-version-check "$$(ls dist/*.whl)[all]"
	$(PYTHON) -m venv .venv/cyclonedx
	.venv/cyclonedx/bin/pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7,<8'
	.venv/cyclonedx/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file "dist/$$(basename dist/*.whl .whl).cdx.json" .venv/sbom/bin/python
	cd dist && sha256sum -- * > SHA256SUMS && cat SHA256SUMS

.venv/run: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[analyze,dashboard,names]'
	@touch $@

# torch by its exact version: the CPU build then serves, where the index has one; what is installed is compiled on all
# cores, which pip does on one, and some packages carry files that are no Python for it
.venv/dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile torch==2.13.0 --editable '.[all,train]' --group dev
	@$(BIN)/python -m compileall -qq -j 0 -x '/(tests?|debugpy|networkx|plotly|ray|statsmodels|sympy)/' .venv/lib || true
	@touch .venv/run $@

# the BigQuery emulator, in an environment of its own: what it needs and what Mien needs need not agree;
# where it cannot be had, its tests say so
.venv/bqemulator/complete: tests/emulators.py .venv/dev
	$(BIN)/python -c 'import sys; sys.path.insert(0, "tests"); import emulators; print(emulators.install() or "the BigQuery emulator is there")'
