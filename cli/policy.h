// `coffer policy eval|check|fmt|test|explain`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "policy/agent/agent_policy.h"

namespace coffer::cli {

[[nodiscard]] std::vector<Command> policy_commands();

// A policy of the agent from a file. As v1; a text that is none is tried as v0, since policies
// recorded in 2024 and before are.
[[nodiscard]] Result<std::unique_ptr<policy::AgentPolicy>> load_agent_policy(
    const std::string& path);

int run_policy_test(Args args);
int run_policy_explain(Args args);

}  // namespace coffer::cli
