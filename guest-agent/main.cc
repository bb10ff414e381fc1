// kata-agent: PID 1 of the guest, or any process on a host (--server-addr), for tests.
#include <unistd.h>

#include "guest-agent/program.h"

int main(int argc, char** argv) { return coffer::agent::run_program(argc, argv, ::getpid() == 1); }
