#include "guest-agent/program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "base/log.h"
#include "guest-agent/attestation.h"
#include "guest-agent/boot.h"
#include "guest-agent/modules.h"
#include "guest-agent/rego_gate.h"
#include "guest-agent/server.h"
#include "rpc/protos/quiet.h"

namespace coffer::agent {
namespace {

constexpr std::string_view kUsage =
    "usage: kata-agent [--server-addr ADDRESS] [--policy FILE.rego] [--crun PATH]\n"
    "                  [--no-cgroups] [--log-level LEVEL]\n"
    "       kata-agent --version\n"
    "The guest agent of a Kata pod. As PID 1 it takes its settings from the kernel command line\n"
    "(agent.log=, agent.server_addr=, ...) and ignores its arguments.\n"
    "example: kata-agent --server-addr unix:///run/agent.sock\n";

struct Options {
  AgentConfig config;
  SandboxSettings sandbox;
  std::string policy_file = "/etc/kata-opa/default-policy.rego";
  int exit_code = -1;  // set: print nothing more, exit
};

void say(int fd, std::string_view text) { std::ignore = write_all(fd, as_bytes(text), "write"); }

Options parse_arguments(int argc, const char* const* argv) {
  Options options;
  for (int i = 1; i < argc && options.exit_code < 0; ++i) {
    const std::string_view argument(argv[i]);
    const bool more = i + 1 < argc;
    if (argument == "--help" || argument == "-h") {
      say(STDOUT_FILENO, kUsage);
      options.exit_code = 0;
    } else if (argument == "--version" || argument == "-v") {
      say(STDOUT_FILENO, fmt::format("kata-agent version {} (Coffer)\n", COFFER_VERSION));
      options.exit_code = 0;
    } else if (argument == "--no-cgroups") {
      options.sandbox.crun.cgroups = false;
    } else if (argument == "--server-addr" && more) {
      options.config.server_addr = argv[++i];
    } else if (argument == "--log-level" && more) {
      options.config.log_level = argv[++i];
    } else if (argument == "--policy" && more) {
      options.policy_file = argv[++i];
    } else if (argument == "--crun" && more) {
      options.sandbox.crun.program = argv[++i];
    } else {
      say(STDERR_FILENO, fmt::format("kata-agent: argument '{}': not known\n{}", argument, kUsage));
      options.exit_code = 2;
    }
  }
  return options;
}

// Unknown NAME=value words of the kernel's command line become our environment when we are PID 1.
Status apply_environment(AgentConfig& config) {
  for (const auto& [variable, setting] : {std::pair{"KATA_AGENT_SERVER_ADDR", "agent.server_addr"},
                                          std::pair{"KATA_AGENT_LOG_LEVEL", "agent.log"},
                                          std::pair{"KATA_AGENT_TRACING", "agent.trace"}}) {
    if (const char* value = std::getenv(variable))
      COFFER_TRY_VOID(apply_setting(config, fmt::format("{}={}", setting, value)));
  }
  return {};
}

Logger make_log(const AgentConfig& config) {
  const auto level = parse_log_level(config.log_level);
  return Logger(LogSink::to_stderr(), LogFormat::kJson, level.value_or(LogLevel::kInfo))
      .with("name", "kata-agent")
      .with("version", COFFER_VERSION);
}

// The policy of the initdata, or of the measured image. A guest of a TEE without one would let its
// host do anything, so it does not start; a guest that protects nothing from its host may go
// without.
Result<std::unique_ptr<PolicyGate>> load_policy(const std::string& file, std::string_view tee,
                                                const Logger& log) {
  std::error_code error;
  if (!file.empty() && std::filesystem::exists(file, error)) {
    COFFER_TRY(const auto text, read_file(file, std::size_t{16} << 20U));
    COFFER_TRY(auto gate, RegoGate::load(file, text));
    return gate;
  }
  if (is_encrypting_tee(tee))
    return fail(Code::kFailedPrecondition,
                fmt::format("load policy '{}': there is none, and this guest runs in a TEE ({})",
                            file, tee));
  log.warn("no policy: every request is allowed", {{"file", file}});
  return std::make_unique<AllowAllGate>();
}

Status serve(Options options, Modules& modules, bool is_init, const Logger& log) {
  for (const auto& warning : options.config.warnings)
    log.warn("setting ignored", {{"reason", warning}});
  options.sandbox.hotplug_timeout = options.config.hotplug_timeout;
  options.sandbox.crun.pipe_size = options.config.container_pipe_size;
  AttestationSettings settings;
  settings.required = options.config.attestation_required;
  settings.components = options.config.guest_components_procs;
  settings.rest_api = options.config.guest_components_rest_api;
  settings.data_hub.timeout = options.config.cdh_api_timeout;
  Attestation attestation(std::move(settings), log);
  if (is_init) {
    COFFER_TRY_VOID(attestation.prepare());
    if (const auto policy = attestation.policy_file()) options.policy_file = policy->native();
    options.sandbox.before_container = [&attestation] {
      return attestation.ready_for_containers();
    };
    if (attestation.can_unseal())
      options.sandbox.container.unseal = [&attestation](std::string sealed) {
        return attestation.unseal(std::move(sealed));
      };
  }
  options.sandbox.tee = attestation.tee();
  COFFER_TRY(const auto policy, load_policy(options.policy_file, attestation.tee(), log));
  asio::io_context loop(1);
  Status status = fail(Code::kInternal, "the event loop ended early");
  AgentParts parts{.config = std::move(options.config),
                   .sandbox = std::move(options.sandbox),
                   .log = log,
                   .attestation = is_init ? &attestation : nullptr};
  asio::co_spawn(loop, run_agent(std::move(parts), *policy, modules, nullptr),
                 [&](const std::exception_ptr& error, Status ended) {
                   if (!error) status = std::move(ended);
                   loop.stop();
                 });
  loop.run();
  return status;
}

Status run_as_init(Options& options) {
  Modules modules;
  auto warnings = boot(modules);
  if (!warnings) return fail(std::move(warnings).error());
  COFFER_TRY(const auto command_line, read_file("/proc/cmdline", std::size_t{64} << 10U));
  COFFER_TRY(options.config, parse_kernel_command_line(command_line));
  COFFER_TRY_VOID(apply_environment(options.config));
  const auto log = make_log(options.config);
  for (const auto& warning : *warnings) log.warn("boot step failed", {{"error", warning}});
  return serve(std::move(options), modules, true, log);
}

}  // namespace

int run_program(int argc, const char* const* argv, bool is_init) {
  ignore_sigpipe();
  silence_protobuf();
  if (is_init) {
    Options options;
    const auto status = run_as_init(options);
    // The last words on the console: the host reads them there. A panic's would push them out.
    if (!status) say(STDERR_FILENO, fmt::format("kata-agent: {}\n", status.error().to_string()));
    power_off();
    // The kernel panics when PID 1 ends, and panic= on its command line says what follows.
    say(STDERR_FILENO, "kata-agent: power off failed\n");
    return 1;
  }
  auto options = parse_arguments(argc, argv);
  if (options.exit_code >= 0) return options.exit_code;
  if (auto status = apply_environment(options.config); !status) {
    say(STDERR_FILENO, fmt::format("kata-agent: {}\n", status.error().to_string()));
    return 2;
  }
  const auto log = make_log(options.config);
  Modules none("/nonexistent");
  if (auto status = serve(std::move(options), none, false, log); !status) {
    log.error("agent ends", {{"error", status.error()}});
    return 1;
  }
  return 0;
}

}  // namespace coffer::agent
