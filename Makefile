# Everything a contributor needs. Each command sets up .venv by itself, the first time
# and whenever pyproject.toml has changed. PYTHON chooses the interpreter of that .venv.
PYTHON ?= python3
PYTEST_ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test lint docs bench

# Real loan applications, a model, a monitor, and checks that fail, at last in a running service.
demo: .venv/ready
	@.venv/bin/python examples/loans/demo.py build/demo

# The tests, on two workers; make test PYTEST_ARGS='-k precision' runs some of them.
test: .venv/ready .venv/components .venv/node_modules
	@.venv/bin/python -m pytest -n 2 $(PYTEST_ARGS)

# Style, format and types.
lint: .venv/ready
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

# Every example in the README and the manual, executed.
docs: .venv/ready
	@.venv/bin/python -m pytest tests/test_docs.py $(PYTEST_ARGS)

# The figures that the README gives, measured here.
bench: .venv/ready
	@.venv/bin/python bench/run.py

.venv/ready: pyproject.toml
	@echo "Setting up .venv ..."
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# What the tests run against, where this may install it; elsewhere they say what they lack. No service is started.
COMPONENTS = postgresql prometheus prometheus-alertmanager prometheus-pushgateway
NO_SERVICES = /usr/sbin/policy-rc.d

.venv/components: .venv/ready
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! dpkg -s $(COMPONENTS) >/dev/null 2>&1; then \
		echo "Installing $(COMPONENTS) for the tests ..."; \
		[ -e $(NO_SERVICES) ] || { printf '#!/bin/sh\nexit 101\n' >$(NO_SERVICES); chmod +x $(NO_SERVICES); made=1; }; \
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(COMPONENTS); } \
			>/dev/null 2>&1 || echo "They could not be installed; tests that need them are skipped."; \
		[ -z "$${made-}" ] || rm -f $(NO_SERVICES); \
	fi
	@touch $@

# Grafana's own code and types, and the compiler that reads these. Of its data source only the types are wanted, so what
# that one depends on stays away.
GRAFANA = tests/compile/grafana/frontend/packages.txt
SOURCE = @grafana/prometheus

.venv/node_modules: $(GRAFANA)
	@echo "Fetching $$(tr '\n' ' ' <$<)for the tests ..."; rm -rf $@; \
	npm install --silent --prefix .venv --no-save --no-package-lock --ignore-scripts --legacy-peer-deps --no-audit \
		--no-fund $$(grep -v $(SOURCE) $<) >/dev/null 2>&1 \
		&& file=$$(npm pack --silent --pack-destination $@ $$(grep $(SOURCE) $<) 2>/dev/null) \
		&& mkdir -p $@/$(SOURCE) && tar -xzf $@/$$file --strip-components=1 -C $@/$(SOURCE) && rm $@/$$file \
		|| { rm -rf $@; echo "They could not be fetched with npm; tests that need them are skipped."; }
