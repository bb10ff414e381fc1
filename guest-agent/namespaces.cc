#include "guest-agent/namespaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/fd.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

constexpr int kShared = CLONE_NEWIPC | CLONE_NEWUTS;

Status pin(const std::string& source, const fs::path& target) {
  COFFER_TRY_VOID(write_file(target, "", 0400));
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return fail_errno(errno, fmt::format("pin namespace '{}'", target.string()));
  return {};
}

// Puts the calling thread back into the namespaces that it had. The agent has one thread, and does
// nothing else in between.
class ComeBack {
 public:
  static Result<ComeBack> remember() {
    ComeBack back;
    COFFER_TRY(back.ipc_, open_file("/proc/thread-self/ns/ipc", O_RDONLY));
    COFFER_TRY(back.uts_, open_file("/proc/thread-self/ns/uts", O_RDONLY));
    return back;
  }
  ComeBack(ComeBack&&) noexcept = default;
  ComeBack& operator=(ComeBack&&) = delete;
  ComeBack(const ComeBack&) = delete;
  ComeBack& operator=(const ComeBack&) = delete;
  ~ComeBack() {
    if (!ipc_.valid() || !uts_.valid()) return;
    check(::setns(ipc_.get(), CLONE_NEWIPC) == 0, "return to the agent's IPC namespace");
    check(::setns(uts_.get(), CLONE_NEWUTS) == 0, "return to the agent's UTS namespace");
  }

 private:
  ComeBack() = default;
  Fd ipc_, uts_;
};

constexpr std::array<std::string_view, 9> kExact{
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",          "kernel.sem",       "kernel.shmall",
    "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", "kernel.domainname"};

}  // namespace

SandboxNamespaces::~SandboxNamespaces() {
  if (created_) {
    ::umount2(ipc_path().c_str(), MNT_DETACH);
    ::umount2(uts_path().c_str(), MNT_DETACH);
  }
  if (has_pid_) ::umount2(pid_path().c_str(), MNT_DETACH);
}

Status SandboxNamespaces::create(const std::string& hostname) {
  if (created_) return {};
  std::error_code error;
  fs::create_directories(dir_, error);
  COFFER_TRY(const auto come_back, ComeBack::remember());
  if (::unshare(kShared) != 0) return fail_errno(errno, "make the sandbox's namespaces");
  if (!hostname.empty() && ::sethostname(hostname.data(), hostname.size()) != 0)
    return fail_errno(errno, fmt::format("set hostname '{}'", hostname));
  COFFER_TRY_VOID(pin("/proc/thread-self/ns/ipc", ipc_path()));
  COFFER_TRY_VOID(pin("/proc/thread-self/ns/uts", uts_path()));
  created_ = true;
  return {};
}

Status SandboxNamespaces::adopt_pid_namespace(int pid) {
  if (has_pid_) return {};
  COFFER_TRY_VOID(pin(fmt::format("/proc/{}/ns/pid", pid), dir_ / "pid"));
  has_pid_ = true;
  return {};
}

Result<std::string> sysctl_path(std::string_view key) {
  const bool plain = !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/';
  });
  // Both spellings: dots, or slashes where a part has dots itself (net/ipv4/conf/eth0.1/...).
  std::string path(key);
  const bool slashes = key.find('/') < key.find('.');
  if (!slashes)
    std::ranges::for_each(path, [](char& c) { c = c == '.' ? '/' : (c == '/' ? '.' : c); });
  std::string dotted = path;
  std::ranges::replace(dotted, '/', '.');
  const bool listed = std::ranges::find(kExact, dotted) != kExact.end() ||
                      path.starts_with("net/") || path.starts_with("fs/mqueue/");
  if (!plain || !listed || path.find("..") != std::string::npos ||
      path.find("//") != std::string::npos)
    return fail(Code::kInvalidArgument,
                fmt::format("set sysctl '{}': no namespace of the sandbox confines it", key));
  return path;
}

Status SandboxNamespaces::write_sysctl(std::string_view key, std::string_view value) const {
  COFFER_TRY(const auto path, sysctl_path(key));
  if (path.starts_with("net/")) return write_file(fs::path("/proc/sys") / path, value);
  COFFER_TRY(const auto come_back, ComeBack::remember());
  for (const auto& [file, kind] :
       {std::pair{ipc_path(), CLONE_NEWIPC}, std::pair{uts_path(), CLONE_NEWUTS}}) {
    COFFER_TRY(const auto ns, open_file(file, O_RDONLY));
    if (::setns(ns.get(), kind) != 0) return fail_errno(errno, fmt::format("enter '{}'", file));
  }
  return write_file(fs::path("/proc/sys") / path, value);
}

}  // namespace coffer::agent
