// The agent as a whole: gate, sandbox, methods and transport on one event loop.
#pragma once

#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "guest-agent/config.h"
#include "guest-agent/gate.h"
#include "guest-agent/sandbox.h"
#include "guest-agent/transport.h"
#include "rpc/ttrpc/router.h"

namespace coffer::agent {

class Attestation;

// Every method of the agent's services. What is passed must outlive the router's calls.
[[nodiscard]] rpc::Router make_router(const Gate& gate, Sandbox& sandbox);

struct AgentParts {
  AgentConfig config;
  SandboxSettings sandbox;
  Logger log;
  // Its coffer-attester is told what the policy allows containers. Null: there is none. Must
  // outlive run_agent().
  Attestation* attestation = nullptr;
};

// Serves until the sandbox is destroyed. `policy`, `modules` and `images` (may be null) must live
// that long. An error: the agent could not serve, or lost its transport.
[[nodiscard]] Task<Status> run_agent(AgentParts parts, PolicyGate& policy, Modules& modules,
                                     ImageStore* images);

}  // namespace coffer::agent
