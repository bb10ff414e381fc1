#include "shim/bootstrap/delete.h"

#include <fmt/core.h>
#include <sys/time.h>

#include <chrono>
#include <cstdio>

#include "rpc/protos/task.pb.h"
#include "shim/sandbox/mounts.h"

namespace coffer::shim {
namespace {

constexpr std::uint32_t kKilled = 137;  // 128 + SIGKILL
constexpr std::chrono::milliseconds kKillTimeout{1000};

void complain(const Error& error) { fmt::print(stderr, "{}\n", error.to_string()); }

std::string response() {
  containerd::task::v2::DeleteResponse response;
  response.set_exit_status(kKilled);
  timeval now{};
  ::gettimeofday(&now, nullptr);
  response.mutable_exited_at()->set_seconds(now.tv_sec);
  response.mutable_exited_at()->set_nanos(static_cast<std::int32_t>(now.tv_usec * 1000));
  std::string bytes;
  check(response.SerializeToString(&bytes), "DeleteResponse did not serialize");
  return bytes;
}

}  // namespace

Result<std::string> delete_leftovers(const ShimOptions& options,
                                     const std::filesystem::path& state_root, const Undo& undo) {
  auto state = load_state(state_root, options.id);
  if (state) {
    if (auto killed = kill_process(state->shim, kKillTimeout); !killed) complain(killed.error());
    for (const Error& error : remove_leftovers(state_root, *state, undo)) complain(error);
  } else if (state.error().code() != Code::kNotFound) {
    complain(state.error());
  }
  const std::filesystem::path bundle = options.bundle.empty() ? "." : options.bundle;
  std::error_code error;
  const auto rootfs = std::filesystem::absolute(bundle / "rootfs", error);
  if (!error) {
    if (auto done = unmount_tree(rootfs.lexically_normal()); !done) complain(done.error());
  }
  return response();
}

}  // namespace coffer::shim
