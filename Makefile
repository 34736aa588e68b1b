# What a developer types. One build profile for everything: release.

# `make run ARGUMENTS="--config my.toml"` passes more to the server.
ARGUMENTS ?=

.PHONY: run build test fmt lint load-test clean

# Installs what is missing, builds, and serves on 127.0.0.1:8787; with the simulated provider where no credential is set.
run:
	@scripts/install-needs.sh run
	cargo build --release
	@exec target/release/caldera serve --demo-if-no-credentials $(ARGUMENTS)

build:
	cargo build --release --workspace

# The whole suite: units, the real binary on a real Postgres, the official clients; then what calls providers, over TLS.
test:
	@scripts/install-needs.sh test
	@for directory in tests/clients tests/clients/tools; do \
		installed=$$directory/node_modules/.package-lock.json; \
		if [ ! -e $$installed ] || [ $$directory/package-lock.json -nt $$installed ]; then \
			(cd $$directory && npm ci --no-audit --no-fund) || exit 1; \
		fi; \
	done
	@cd tests/clients/python && installed=venv/installed; \
	if [ ! -e $$installed ] || [ requirements.txt -nt $$installed ]; then \
		python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt && \
		touch $$installed; \
	fi
	cargo test --release --workspace --no-fail-fast
	CALDERA_TEST_TLS=1 cargo test --release --workspace --test suite -- gateway:: streams::

fmt:
	cargo fmt --all

lint:
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

# Direct, bare pass-through and Caldera in turn, then the books; about five minutes.
load-test:
	@scripts/install-needs.sh run
	cargo build --release --workspace
	@mkdir -p load-tests/results
	target/release/caldera-load-tests compare --json load-tests/results/latest.json --svg load-tests/results/latest.svg

clean:
	cargo clean
	rm -rf tests/clients/node_modules tests/clients/tools/node_modules tests/clients/python/venv
