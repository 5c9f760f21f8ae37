# What people do with this repository. `make` alone explains.

CARGO ?= cargo
# Tests that start peers need the peer program beside `peerbed`; cargo builds it only when asked.
BINARIES = $(CARGO) build --workspace --bins --locked

# Where `make bench-swarm` leaves its runs, and how often it makes each.
BASELINES ?= runs/bench-swarm
BASELINES_PAGE ?= docs/baselines.md
REPEAT ?= 3
PEERBED ?= target/release/peerbed
# Where `make compare-runs` leaves the repeats of its builds.
COMPARED ?= runs/compare

.DEFAULT_GOAL := help
.PHONY: help demo observe test test-here test-netem links engines ring ring-model check bench bench-swarm baselines-table compare-runs compare-data clean tools

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: tools ## Build, run topologies/demo.yaml and show its table (about a minute and the build)
	$(CARGO) build --release --workspace --bins --locked
	target/release/peerbed run topologies/demo.yaml

observe: tools ## Run the demo with a Prometheus beside it and a live page (apt install prometheus)
	$(CARGO) build --release --workspace --bins --locked
	target/release/peerbed run topologies/demo.yaml --prometheus --watch

# Figures are measured: nothing runs beside them.
.NOTPARALLEL:

# One failure hides no other: whatever fails, everything is tried, and the end is a failure.
test: tools ## Run all tests; as root also those on real namespaces
	$(MAKE) --keep-going test-here test-netem

test-here: ## Run all tests but those that need the guest kernel
	$(BINARIES)
	$(CARGO) test --workspace --locked --no-fail-fast

test-netem: ## Run the tests of delay and loss in a guest kernel that has netem (user-mode-linux; three minutes, ten on a busy host)
	CARGO="$(CARGO)" orchestrator/tests/guest/tests

links: ## Measure the table of links with both engines again and write docs/links.md (about ten idle minutes)
	CARGO="$(CARGO)" orchestrator/tests/guest/tests --table

engines: tools ## Set the two engines side by side on one rough swarm (about six idle minutes and the build)
	CARGO="$(CARGO)" orchestrator/tests/guest/engines

ring: tools ## Make the ring's tables in virtual time again and write docs/ring-tables.md (about five minutes)
	$(CARGO) run --release --locked -p peerbed-proto --features sim --example ring_tables > docs/ring-tables.partial
	mv docs/ring-tables.partial docs/ring-tables.md

ring-model: tools ## Check the ring's invariant over a million random interleavings
	$(CARGO) run --release --locked -p peerbed-proto --features sim --example ring_model

check: tools ## What CI runs: format, lints, documents, licences, tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked check licenses bans sources; \
	else \
		echo "cargo-deny is not installed, licences are not checked (cargo install cargo-deny --locked)"; \
	fi
	$(MAKE) test

bench: tools ## Measure set-up times and the protocol cores
	$(CARGO) build --release --workspace --bins --locked
	$(CARGO) bench --workspace --locked

# What single runs mean (exit codes 1 and 4) is in the table; a run that could not be carried out ends this.
bench-swarm: tools ## Measure Peerbed, libtorrent, aria2 and nginx side by side and write docs/baselines.md (about 25 idle minutes)
	$(CARGO) build --release --workspace --bins --locked
	mkdir -p $(BASELINES)
	for name in baselines client-server; do \
		rm -rf $(BASELINES)/$$name; \
		$(PEERBED) run topologies/$$name.yaml --repeat $(REPEAT) --out $(BASELINES)/$$name; \
		case $$? in 0|1|4) ;; *) exit 1 ;; esac; \
	done
	$(MAKE) baselines-table

# Makes the table of docs/baselines.md again from the runs that are there.
baselines-table:
	$(PEERBED) report $(BASELINES) --medians > $(BASELINES)/table.md
	sed -i -e '/^<!-- measured -->$$/,/^<!-- \/measured -->$$/{//!d}' -e '/^<!-- measured -->$$/r $(BASELINES)/table.md' $(BASELINES_PAGE)

# `plain` and `again` differ in seeds only; in `slower` peers fetch pieces in order in place of the rarest first.
compare-runs: tools ## Measure the repeats that the test of `peerbed compare` judges (about 40 idle minutes)
	$(CARGO) build --release --workspace --bins --locked
	rm -rf $(COMPARED)
	set -e; measure() { \
		$(PEERBED) run orchestrator/tests/compare_runs/swarm.yaml --repeat 50 --no-verify --quiet --out $(COMPARED)/$$1 \
			--seed $$2 --set "scenario.0.distribute.options={ pieces: $$3 }" || [ $$? = 4 ]; \
	}; measure plain 1 rarest-first; measure again 1001 rarest-first; measure slower 2001 sequential
	$(MAKE) compare-data

# Puts the repeats that are there into the test's place.
compare-data:
	peerbed=$$(realpath $(PEERBED)) && to=$$(realpath orchestrator/tests/compare_runs) && cd $(COMPARED) && \
		$$peerbed compare plain again slower --json > $$to/measured.partial && mv $$to/measured.partial $$to/measured.json

clean: ## Remove what was built; runs/ stays, it is yours
	$(CARGO) clean

# Names what is missing and how to get it. iperf3 and ping are needed only by tests as root.
tools:
	@missing=0; \
	need() { command -v "$$1" >/dev/null 2>&1 || { echo "missing: $$1 ($$2)" >&2; missing=1; }; }; \
	need $(firstword $(CARGO)) "install Rust: https://rustup.rs"; \
	need cc "apt install build-essential, or dnf install gcc"; \
	need ip "apt install iproute2, or dnf install iproute"; \
	command -v iperf3 >/dev/null 2>&1 || echo "note: without iperf3 the tests of link rates are left out (apt install iperf3)" >&2; \
	command -v ping >/dev/null 2>&1 || echo "note: without ping the table of links is left out (apt install iputils-ping)" >&2; \
	exit $$missing
