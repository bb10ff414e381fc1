// containerd-shim-kata-v2: reads the command line and wires the parts.
#include <fcntl.h>
#include <fmt/core.h>

#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "rpc/protos/quiet.h"
#include "shim/bootstrap/delete.h"
#include "shim/bootstrap/info.h"
#include "shim/bootstrap/options.h"
#include "shim/bootstrap/start.h"
#include "shim/sandbox/launch_request.h"
#include "shim/sandbox/mounts.h"
#include "shim/sandbox/phases.h"
#include "shim/task/serve.h"

namespace {

using namespace coffer;        // NOLINT(google-build-using-namespace): the program's own
using namespace coffer::shim;  // NOLINT(google-build-using-namespace): the program's own

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
  return value == nullptr ? "" : value;
}

// The bundle's fifo, which containerd reads; without it, nowhere.
Logger make_logger(const ShimOptions& options) {
  auto fifo = open_file("log", O_WRONLY | O_NONBLOCK);
  if (!fifo) return {};
  const LogLevel level = options.debug ? LogLevel::kDebug : LogLevel::kInfo;
  return Logger(LogSink::to_fd(*std::move(fifo)), LogFormat::kLogrus, level)
      .with("name", "containerd-shim-v2")
      .with("sandbox", options.id);
}

Status serve_forever(const ShimOptions& options) {
  ServeOptions serving;
  serving.sandbox_id = options.id;
  serving.containerd_namespace = options.containerd_namespace;
  serving.ttrpc_address = environment("TTRPC_ADDRESS");
  serving.env_config = environment("KATA_CONF_FILE");
  serving.started = environment(kStartedVariable);
  serving.log = make_logger(options);
  auto status = enter_private_mount_namespace();
  if (status) status = serve(serving, system_host());
  if (!status) serving.log.error("the shim failed", {{"error", status.error()}});
  return status;
}

// containerd-shim-kata-v2 -config FILE launch | coffer-launch: what a pod of the class measures.
Result<std::string> launch(const ShimOptions& options) {
  ConfigSources sources;
  sources.option_path = options.config;
  sources.env_path = environment("KATA_CONF_FILE");
  return describe_launch(sources, system_host());
}

Result<std::string> answer(const ShimOptions& options) {
  switch (options.action) {
    case Action::kVersion:
      return version_text();
    case Action::kInfo:
      return runtime_info();
    case Action::kStart:
      return start(options);
    case Action::kDelete:
      return delete_leftovers(options, kStateRoot, system_host().undo);
    case Action::kLaunch:
      return launch(options);
    case Action::kServe:
      break;
  }
  COFFER_TRY_VOID(serve_forever(options));
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  ignore_sigpipe();
  silence_protobuf();
  const std::vector<std::string_view> args(argv + 1, argv + argc);
  const auto options = parse_options(args);
  const auto text =
      options ? answer(*options) : Result<std::string>(std::unexpected(options.error()));
  if (!text) {
    fmt::print(stderr, "containerd-shim-kata-v2: {}\n", text.error().to_string());
    return 1;
  }
  const auto written = write_all(STDOUT_FILENO, as_bytes(*text), "write the answer");
  return written ? 0 : 1;
}
