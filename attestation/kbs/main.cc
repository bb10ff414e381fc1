// coffer-kbs: the key broker and attestation service.

#include <string>
#include <vector>

#include "attestation/kbs/program.h"

int main(int argc, char** argv) {
  return coffer::kbs::run_program(std::vector<std::string>(argv + 1, argv + argc));
}
