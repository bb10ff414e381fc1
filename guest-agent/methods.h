// The methods of grpc.AgentService by theme, and grpc.Health. Each function registers its handlers;
// what they refer to must outlive the router's calls.
#pragma once

#include "base/log.h"
#include "guest-agent/registrar.h"
#include "rpc/ttrpc/router.h"

namespace coffer::agent {

class Sandbox;

// Sandbox and container life cycle, exec, signals, wait, statistics.
void add_container_methods(Registrar& registrar, Sandbox& sandbox);
// WriteStdin, ReadStdout, ReadStderr, CloseStdin, TtyWinResize.
void add_stream_methods(Registrar& registrar, Sandbox& sandbox);
void add_network_methods(Registrar& registrar, Sandbox& sandbox);
// CopyFile, GetVolumeStats, ResizeVolume, swap, GetDiagnosticData, stale mounts.
void add_file_methods(Registrar& registrar, Sandbox& sandbox);
// Details, clock, entropy, CPU and memory, metrics, policy.
void add_guest_methods(Registrar& registrar, const Gate& gate);
// Not gated: it tells nothing but that we are here and which version.
void add_health(rpc::Router& router);

}  // namespace coffer::agent
