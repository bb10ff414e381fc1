#include "shim/bootstrap/start.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <vector>

#include "base/fd.h"
#include "rpc/protos/bootstrap.pb.h"
#include "shim/bootstrap/socket.h"
#include "shim/sandbox/phases.h"
#include "shim/sandbox/role.h"

namespace coffer::shim {
namespace {

constexpr std::size_t kMaxInput = std::size_t{10} << 20U;
// Before this shim serves, a child that inherits the listener finds it here.
constexpr int kListenerFd = 3;
constexpr int kMaxOomScore = 1000;

// Stdin is a pipe from containerd, or whatever a shell left there: a terminal is not read.
Result<std::string> read_stdin() {
  if (::isatty(STDIN_FILENO) != 0) return std::string();
  return read_all(STDIN_FILENO, kMaxInput, "read the runtime options from stdin");
}

Result<std::string> own_path() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail_errno(error.value(), "read '/proc/self/exe'");
  return path.native();
}

// containerd's score plus one, so that under memory pressure shims go before containerd does. Not
// fatal: an unprivileged containerd may not raise it.
void adjust_oom_score(pid_t child) {
  const auto text = read_file(fmt::format("/proc/{}/oom_score_adj", ::getppid()), 64);
  if (!text) return;
  int score = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), score);
  if (parsed.ec != std::errc{}) return;
  score = std::min(score + 1, kMaxOomScore);
  [[maybe_unused]] const auto ignored =
      write_file(fmt::format("/proc/{}/oom_score_adj", child), std::to_string(score));
}

class SpawnActions {
 public:
  SpawnActions() { ::posix_spawn_file_actions_init(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  [[nodiscard]] posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

// The server must not hold containerd's pipes: containerd reads them to their end.
Result<pid_t> spawn_server(const ShimOptions& options, std::string_view sandbox_id,
                           const Fd& socket) {
  COFFER_TRY(const std::string self, own_path());
  std::vector<std::string> args = {
      "containerd-shim-kata-v2", "-namespace",      options.containerd_namespace, "-address",
      options.address,           "-publish-binary", options.publish_binary,       "-id",
      std::string(sandbox_id)};
  if (options.debug) args.emplace_back("-debug");
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);

  // Moved out of the way first, so that dup2 onto 3 always clears close-on-exec.
  const Fd listener(::fcntl(socket.get(), F_DUPFD_CLOEXEC, kListenerFd + 1));
  if (!listener.valid()) return fail_errno(errno, "duplicate the listening socket");
  SpawnActions actions;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    ::posix_spawn_file_actions_addopen(actions.get(), fd, "/dev/null", O_RDWR, 0);
  }
  ::posix_spawn_file_actions_adddup2(actions.get(), listener.get(), kListenerFd);
  ::posix_spawn_file_actions_addclosefrom_np(actions.get(), kListenerFd + 1);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t child = -1;
  const int error =
      ::posix_spawn(&child, self.c_str(), actions.get(), &attributes, argv.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno(error, fmt::format("run '{}'", self));
  return child;
}

Status record(pid_t child, std::string_view address) {
  COFFER_TRY_VOID(write_file_atomic("shim.pid", std::to_string(child)));
  return write_file_atomic("address", address);
}

Result<std::string> start_server(const ShimOptions& options, std::string_view sandbox_id,
                                 const std::filesystem::path& path) {
  const std::string address = "unix://" + path.native();
  COFFER_TRY(auto listening, listen_or_join(path));
  if (std::holds_alternative<Joined>(listening)) {
    COFFER_TRY_VOID(write_file_atomic("address", address));
    return address;
  }
  const Fd& listener = std::get<Fd>(listening);
  const auto child = spawn_server(options, sandbox_id, listener);
  if (!child) {
    ::unlink(path.c_str());
    return std::unexpected(child.error());
  }
  adjust_oom_score(*child);
  if (const auto recorded = record(*child, address); !recorded) {
    ::kill(*child, SIGKILL);
    ::unlink(path.c_str());
    return std::unexpected(recorded.error());
  }
  return address;
}

Result<std::string> join_server(std::string_view sandbox_id, const std::filesystem::path& path) {
  if (!is_listening(path)) {
    return fail(Code::kUnavailable,
                fmt::format("find the shim of sandbox '{}': nobody listens on '{}' (the sandbox "
                            "has ended)",
                            sandbox_id, path.native()));
  }
  std::string address = "unix://" + path.native();
  COFFER_TRY_VOID(write_file_atomic("address", address));
  return address;
}

}  // namespace

StartRequest read_start_request(std::string_view input, const ShimOptions& options,
                                bool has_grpc_address) {
  StartRequest request{
      .form = has_grpc_address ? AnswerForm::kJsonVersion3 : AnswerForm::kBareAddress,
      .socket_dir = std::string(kDefaultSocketDir)};
  containerd::runtime::bootstrap::v1::BootstrapParams params;
  const bool parsed = params.ParseFromArray(input.data(), static_cast<int>(input.size()));
  // An Any may parse by chance; its fields then do not name us.
  if (parsed && params.instance_id() == options.id &&
      params.namespace_() == options.containerd_namespace) {
    request.form = AnswerForm::kJsonVersion3;
    if (!params.socket_dir().empty()) request.socket_dir = params.socket_dir();
  }
  return request;
}

std::string format_answer(AnswerForm form, std::string_view address) {
  if (form == AnswerForm::kBareAddress) return std::string(address);
  return fmt::format(R"({{"version":3,"address":"{}","protocol":"ttrpc"}})", address);
}

Result<std::string> start(const ShimOptions& options) {
  // Inherited by the server.
  ::setenv(kStartedVariable, to_text(Phases::Clock::now()).c_str(), 1);
  COFFER_TRY(const std::string input, read_stdin());
  const StartRequest request =
      read_start_request(input, options, std::getenv("GRPC_ADDRESS") != nullptr);
  COFFER_TRY(const Annotations annotations, read_annotations("."));
  COFFER_TRY(const Placement placement, place(annotations, options.id));
  const auto path = socket_path(request.socket_dir, options.address, options.containerd_namespace,
                                placement.sandbox_id);
  if (placement.role == Role::kContainer) {
    COFFER_TRY(const std::string address, join_server(placement.sandbox_id, path));
    return format_answer(request.form, address);
  }
  COFFER_TRY(const std::string address, start_server(options, placement.sandbox_id, path));
  return format_answer(request.form, address);
}

}  // namespace coffer::shim
