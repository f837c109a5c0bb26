# SPDX-License-Identifier: BSD-2-Clause
#
#   make demo     see it work: real programs, figures beside the kernel's
#   make check    every test; ends with "N passed, M failed, K skipped"
#   make          build; make install (prefix=, DESTDIR=), bench, lint, clean
#   make deb      Debian's packages, in build/deb, and what lintian says of them
#   make walk     install them into a fresh system, and run what the docs say there
#   make cpython  CPython's own suites, natively and under Mortise
#   make fuzz-long    each fuzzer for ten minutes (SECONDS=)
#   make packetdrill  packetdrill's scripts on the engine: PACKETDRILL=program SCRIPTS=folders
#   make sim-long     100,000 runs of the simulator (COUNT=, FIRST=)
#   make sim-grid     300 links and 1 to 64 flows, for each congestion control: tables (PART=K/N STATE=file)
#   make bench-wire   the network beside veth, pasta and slirp4netns; as root
#   make netns-long   the network against the kernel at length, as root: connections, programs, bad links
#
# Meson and ninja do the work; this names what people type.

BUILD ?= build
prefix ?= /usr/local
# Two by default in CI, all cores elsewhere.
JOBS ?= $(if $(CI),2,$(shell nproc 2>/dev/null || echo 2))
export MORTISE_BUILD := $(abspath $(BUILD))

.PHONY: all demo check bench bench-wire quick lint install clean conform-long configure cpython deb walk fuzz-long programs-long sim-long sim-grid packetdrill netns-long

all: configure
	@ninja -C $(BUILD) -j$(JOBS)

configure:
	@scripts/deps --name build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) --prefix=$(prefix)

demo:
	@scripts/deps demo
	@$(MAKE) --no-print-directory all
	@scripts/demo

# scripts/check builds what it tests, sanitizer builds included. SUITES=
# names some of them: make check SUITES="unit cli".
check:
	@scripts/deps check
	@scripts/check --build $(BUILD) --jobs $(JOBS) $(SUITES)

bench:
	@scripts/deps bench
	@$(MAKE) --no-print-directory all
	@bench/run $(if $(filter quick,$(MAKECMDGOALS)),--quick) $(ARGS)

# The network at a TAP interface beside veth, pasta and slirp4netns; as root.
bench-wire:
	@scripts/deps bench
	@$(MAKE) --no-print-directory all
	@bench/wire --build $(BUILD) $(if $(filter quick,$(MAKECMDGOALS)),--quick) $(ARGS)

# make bench quick: 2 short rounds
quick:
	@:

lint:
	@scripts/deps lint
	@scripts/check --build $(BUILD) --jobs $(JOBS) --deep include-rule lint

install: all
	@meson configure $(BUILD) -Dprefix=$(prefix)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD)

deb:
	@scripts/deps deb
	@JOBS=$(JOBS) scripts/deb $(BUILD)/deb

# As root: it makes a chroot. Some minutes.
walk: deb
	@scripts/deps walk
	@tests/walk/run $(BUILD)/deb $(ARGS)

# Some 20 minutes. SUITES= names some of them, and leaves the table alone.
cpython:
	@scripts/deps cpython
	@$(MAKE) --no-print-directory all
	@tests/cpython/run --mortise $(BUILD)/src/cli/mortise \
		$(if $(SUITES),$(SUITES),--write docs/compatibility.md)

# Programs that take longer than `make check` may.
programs-long:
	@scripts/deps long
	@$(MAKE) --no-print-directory all
	@tests/programs/datagrams --slow

# The differential test at full length.
conform-long: all
	@tests/conform/conform --mortise $(BUILD)/src/cli/mortise \
		--exec $(BUILD)/tests/conform/conform-exec --count 20000
	@tests/conform/conform --mortise $(BUILD)/src/cli/mortise --datagrams --processes \
		--exec $(BUILD)/tests/conform/conform-exec --count 50000

# New inputs are kept in $(BUILD)/fuzz/corpus.
fuzz-long:
	@scripts/deps check
	@tests/fuzz/run --seconds $(or $(SECONDS),600)

sim-long: all
	@SIM_DIR=$(BUILD) $(BUILD)/tests/sim/sim --first $(or $(FIRST),1000000) --count $(or $(COUNT),100000)

sim-grid: all
	@$(BUILD)/tests/sim/sim --grid $(if $(PART),--part $(PART)) $(if $(STATE),--state $(STATE))

netns-long: all
	@scripts/deps check
	@tests/netns/run --mortise $(BUILD)/src/cli/mortise --long
	@tests/netns/programs --mortise $(BUILD)/src/cli/mortise --long

# docs/packetdrill.md says where the program and the scripts are had.
packetdrill: all
	@test -n "$(PACKETDRILL)" -a -n "$(SCRIPTS)" || \
		{ echo "make packetdrill PACKETDRILL=program SCRIPTS=folders: see docs/packetdrill.md"; exit 2; }
	@tests/packetdrill/run --packetdrill $(PACKETDRILL) --doc docs/packetdrill.md \
		--so $(BUILD)/tests/packetdrill/libmortise-packetdrill.so $(ARGS) $(SCRIPTS)

clean:
	@rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-ubsan $(BUILD)-faults
