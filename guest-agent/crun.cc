#include "guest-agent/crun.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/secret.h"
#include "base/subprocess.h"
#include "guest-agent/children.h"
#include "guest-agent/mounts.h"
#include "guest-agent/sealed_files.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

constexpr auto kTimeout = std::chrono::minutes(2);
constexpr std::size_t kMaxLog = std::size_t{256} << 10U;

// Removes a scratch file on every way out.
class Scratch {
 public:
  enum class Holds : bool { kNothingSecret, kSecrets };
  explicit Scratch(fs::path path, Holds holds = Holds::kNothingSecret)
      : path_(std::move(path)), holds_(holds) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (holds_ == Holds::kSecrets)
      wipe_file(path_);
    else
      ::unlink(path_.c_str());
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  Holds holds_;
};

Result<Fd> listen_unix(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof(address.sun_path))
    return fail(Code::kInternal, fmt::format("listen on '{}': path too long", path.string()));
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // SAFETY: sockaddr_un is what AF_UNIX's sockaddr is; the cast is the socket API's own.
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (!fd.valid() || ::bind(fd.get(), generic, sizeof(address)) != 0 || ::listen(fd.get(), 1) != 0)
    return fail_errno(errno, fmt::format("listen on '{}'", path.string()));
  return fd;
}

// A copy of a program that nobody can change. crun makes one of itself at each run and starts again
// from it, so that no container can write to the program that enters it; run from a copy with just
// these seals it goes on at once.
Result<Fd> sealed_copy(const fs::path& program) {
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  constexpr unsigned kExecutable = 0x10;  // MFD_EXEC: linux/memfd.h, from 6.3 on
  const std::string what = fmt::format("copy '{}'", program.string());
  COFFER_TRY(const auto source, open_file(program, O_RDONLY));
  struct stat info{};
  if (::fstat(source.get(), &info) != 0) return fail_errno(errno, what);
  Fd copy(::memfd_create("crun", MFD_CLOEXEC | MFD_ALLOW_SEALING | kExecutable));
  if (!copy.valid() && errno == EINVAL)
    copy.reset(::memfd_create("crun", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!copy.valid()) return fail_errno(errno, what);
  for (auto left = info.st_size; left > 0;) {
    const auto sent = ::sendfile(copy.get(), source.get(), nullptr, static_cast<std::size_t>(left));
    if (sent < 0) return fail_errno(errno, what);
    if (sent == 0) return fail(Code::kInternal, what + ": it became shorter");
    left -= sent;
  }
  if (::fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0) return fail_errno(errno, what);
  return copy;
}

// crun has connected, sent the pty's master and gone: all of it is in the socket's queue.
Result<Fd> receive_terminal(const Fd& listening) {
  Fd peer(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!peer.valid()) return fail_errno(errno, "receive the terminal from crun: accept");
  std::array<char, 256> text{};
  iovec part{.iov_base = text.data(), .iov_len = text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(peer.get(), &message, MSG_CMSG_CLOEXEC) < 0)
    return fail_errno(errno, "receive the terminal from crun");
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int)))
    return fail(Code::kInternal, "receive the terminal from crun: no descriptor came");
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  return Fd(fd);
}

Result<int> read_pid(const fs::path& path) {
  COFFER_TRY(const auto text, read_file(path, 64));
  int pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc{} || pid <= 0)
    return fail(Code::kInternal, fmt::format("read crun's pid file: got '{}'", text));
  return pid;
}

// The last error line of crun's JSON log.
std::string last_error(const fs::path& log) {
  const auto text = read_file(log, kMaxLog);
  if (!text) return "no reason given";
  std::string message;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = parse_json(rest.substr(0, end), "crun's log");
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!line || !line->is_object()) continue;
    if (const auto found = line->find("msg"); found != line->end() && found->is_string())
      message = found->get<std::string>();
  }
  return message.empty() ? "no reason given" : message;
}

}  // namespace

Crun::Crun(asio::any_io_executor executor, CrunSettings settings, ChildRegistry& children,
           Logger log)
    : executor_(std::move(executor)),
      settings_(std::move(settings)),
      children_(children),
      log_(std::move(log)) {}

fs::path Crun::scratch(std::string_view suffix) {
  return settings_.scratch_dir / fmt::format("{}.{}", next_scratch_++, suffix);
}

Status Crun::make_copy() {
  if (copy_.valid()) return {};
  COFFER_TRY(copy_, sealed_copy(settings_.program));
  return {};
}

Task<Status> Crun::run(std::vector<std::string> arguments, std::vector<std::pair<int, int>> fds) {
  const Scratch log(scratch("log"));
  SpawnOptions options;
  options.argv = {settings_.program.string(), "--root=" + settings_.state_dir.string(),
                  "--log=" + log.path().string(), "--log-format=json",
                  settings_.cgroups ? "--cgroup-manager=cgroupfs" : "--cgroup-manager=disabled"};
  const std::string verb = arguments.front();
  for (auto& argument : arguments) options.argv.push_back(std::move(argument));
  COFFER_CO_TRY_VOID(make_copy());
  options.program = fmt::format("/proc/self/fd/{}", copy_.get());
  options.env = std::vector<std::string>{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  options.fds = std::move(fds);
  const ChildRegistry::Busy busy(children_);
  auto child = spawn(options);
  if (!child) co_return fail(std::move(child).error());
  const auto deadline = deadline_in(kTimeout);
  auto status = co_await child->wait_until(deadline);
  if (!status) co_return fail(std::move(status).error());
  if (!status->has_value())
    co_return fail(Code::kDeadlineExceeded, fmt::format("crun {}: it did not end", verb));
  if ((*status)->as_shell() != 0)
    co_return fail(Code::kInternal, fmt::format("crun {}: {}", verb, last_error(log.path())));
  co_return Status{};
}

Task<Result<Started>> Crun::launch(std::vector<std::string> arguments, bool terminal) {
  const Scratch pid_file(scratch("pid"));
  const Scratch console(scratch("tty"));
  Fd listening;
  StdioPipes pipes;
  std::vector<std::pair<int, int>> fds;
  arguments.insert(arguments.begin() + 1, "--pid-file=" + pid_file.path().string());
  if (terminal) {
    COFFER_CO_TRY(listening, listen_unix(console.path()));
    arguments.insert(arguments.begin() + 1, "--console-socket=" + console.path().string());
  } else {
    COFFER_CO_TRY(pipes, make_pipes(executor_, settings_.pipe_size));
    fds = {{0, pipes.child_in.get()}, {1, pipes.child_out.get()}, {2, pipes.child_err.get()}};
  }
  // Until the new process is registered nobody may reap it.
  const ChildRegistry::Busy busy(children_);
  auto ran = co_await run(std::move(arguments), std::move(fds));
  if (!ran) co_return fail(std::move(ran).error());
  Started started;
  COFFER_CO_TRY(started.pid, read_pid(pid_file.path()));
  COFFER_CO_TRY(started.pidfd, open_pidfd(started.pid));
  if (terminal) {
    COFFER_CO_TRY(auto master, receive_terminal(listening));
    COFFER_CO_TRY(started.stdio, stdio_of_terminal(executor_, std::move(master)));
  } else {
    started.stdio = std::move(pipes.ours);
  }
  children_.add(started.pid);
  co_return started;
}

Task<Result<Started>> Crun::create(std::string id, fs::path bundle, bool terminal) {
  std::vector<std::string> arguments{"create", "--bundle=" + bundle.string(), std::move(id)};
  co_return co_await launch(std::move(arguments), terminal);
}

Task<Result<Started>> Crun::exec(std::string id, std::string process, bool terminal) {
  const Scratch file(scratch("json"), Scratch::Holds::kSecrets);
  const auto written = write_file(file.path(), process, 0600);
  wipe(process);
  COFFER_CO_TRY_VOID(written);
  std::vector<std::string> arguments{"exec", "--detach", "--process=" + file.path().string()};
  arguments.push_back(std::move(id));
  co_return co_await launch(std::move(arguments), terminal);
}

Status Crun::start(const std::string& id) const {
  const auto fifo = settings_.state_dir / id / "exec.fifo";
  // The container's init is at the other end already: create() waited for it.
  COFFER_TRY(const auto fd, open_file(fifo, O_WRONLY | O_NONBLOCK));
  ::unlink(fifo.c_str());
  if (::write(fd.get(), "0", 1) != 1)
    return fail_errno(errno, fmt::format("start container '{}'", id));
  return {};
}

Task<Status> Crun::start_with_hooks(std::string id) {
  std::vector<std::string> arguments{"start", std::move(id)};
  co_return co_await run(std::move(arguments), {});
}

Task<Status> Crun::update(std::string id, std::string resources) {
  const Scratch file(scratch("json"));
  COFFER_CO_TRY_VOID(write_file(file.path(), resources, 0600));
  std::vector<std::string> arguments{"update", "--resources=" + file.path().string()};
  arguments.push_back(std::move(id));
  co_return co_await run(std::move(arguments), {});
}

Task<Status> Crun::remove_with_hooks(std::string id) {
  std::error_code error;
  if (!fs::exists(settings_.state_dir / id, error)) co_return Status{};
  std::vector<std::string> arguments{"delete", "--force", std::move(id)};
  co_return co_await run(std::move(arguments), {});
}

Status Crun::forget(const std::string& id) const { return remove_tree(settings_.state_dir / id); }

}  // namespace coffer::agent
