# Every target does its own set-up and says what it installs. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help run stop test quick demo pictures bench fuzz clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## start a single-machine system under ./.run and say how to use it
	@tools/setup.sh build
	@tools/run.sh

stop: ## end the system that `make run` started
	@tools/run.sh stop

test: ## everything CI runs
	@tools/setup.sh test
	@tools/test.sh

quick: ## the quick tier: unit and in-process tests, without the decryptor in Python
	@tools/setup.sh build
	TICRYPT_SKIP_DECRYPTOR=$${TICRYPT_SKIP_DECRYPTOR:-1} cargo test --workspace --locked

demo: ## the whole story with the real programs, printed step by step
	@tools/setup.sh build
	@tools/demo.sh

pictures: ## the pictures of docs/using, taken from the real page
	@tools/setup.sh test
	TICRYPT_PICTURES=$$PWD/docs/using/pictures cargo nextest run --workspace --locked -E 'package(ticrypt-browser-tests) and test(two_people)'

bench: ## side by side with rclone, restic, age and dd; prints a table
	@tools/setup.sh bench
	@tools/bench.sh

fuzz: ## every parser of foreign bytes, FUZZ_SECONDS (20) each
	@tools/setup.sh build
	@tools/fuzz.sh

clean: ## remove what was built and what `make run` keeps
	cargo clean
	rm -rf .run fuzz/target
