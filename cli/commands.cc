#include "cli/commands.h"

#include <utility>

#include "cli/check.h"
#include "cli/evidence.h"
#include "cli/guest_image.h"
#include "cli/initdata.h"
#include "cli/kbs.h"
#include "cli/measure_snp.h"
#include "cli/measure_tdx.h"
#include "cli/measure_tpm.h"
#include "cli/policy.h"

namespace coffer::cli {

// Each folder of commands adds its own here: one line a command, kept in the order of the help.
std::vector<Command> all_commands() {
  std::vector<Command> commands;
  commands.push_back(check_command());
  commands.push_back(guest_image_build());
  for (auto& command : initdata_commands()) commands.push_back(std::move(command));
  commands.push_back(evidence_show());
  commands.push_back(evidence_verify());
  commands.push_back(evidence_id_block());
  for (auto& command : measure_snp_commands()) commands.push_back(std::move(command));
  commands.push_back(measure_tdx());
  commands.push_back(measure_tpm());
  for (auto& command : kbs_commands()) commands.push_back(std::move(command));
  for (auto& command : policy_commands()) commands.push_back(std::move(command));
  return commands;
}

}  // namespace coffer::cli
