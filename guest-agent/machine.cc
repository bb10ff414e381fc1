#include "guest-agent/machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

#include "base/bytes.h"
#include "base/fd.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMemory = "/sys/devices/system/memory";
constexpr const char* kCpu = "/sys/devices/system/cpu";

// "cpu0", "cpu17", "memory3": the prefix and then digits only.
bool numbered(const std::string& name, std::string_view prefix) {
  return name.size() > prefix.size() && name.starts_with(prefix) &&
         name.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
}

std::uint32_t online_cpus() {
  std::uint32_t online = 0;
  std::error_code error;
  for (auto it = fs::directory_iterator(kCpu, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    if (!numbered(it->path().filename().string(), "cpu")) continue;
    const auto file = it->path() / "online";
    const auto state = read_file(file, 16);
    // The boot CPU has no such file: it cannot go offline.
    if (!state || state->starts_with('1') || write_file(file, "1").has_value()) ++online;
  }
  return online;
}

void online_memory() {
  std::error_code error;
  for (auto it = fs::directory_iterator(kMemory, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    if (!numbered(it->path().filename().string(), "memory")) continue;
    const auto file = it->path() / "state";
    const auto state = read_file(file, 32);
    if (state && state->starts_with("offline")) std::ignore = write_file(file, "online");
  }
}

}  // namespace

Status set_clock(std::int64_t seconds, std::int64_t microseconds) {
  const timeval now{.tv_sec = seconds, .tv_usec = microseconds};
  if (::settimeofday(&now, nullptr) != 0)
    return fail_errno(errno, fmt::format("set the clock to {}.{:06}", seconds, microseconds));
  return {};
}

Status reseed_random(std::string_view data) {
  if (data.empty()) return fail(Code::kInvalidArgument, "reseed the random device: no data");
  COFFER_TRY(const auto fd, open_file("/dev/random", O_WRONLY));
  COFFER_TRY_VOID(write_all(fd.get(), as_bytes(data), "write '/dev/random'"));
  if (::ioctl(fd.get(), RNDRESEEDCRNG) != 0)
    return fail_errno(errno, "reseed the kernel's generator");
  return {};
}

Task<Status> online_resources(std::uint32_t count, bool memory) {
  constexpr int kTries = 100;
  constexpr auto kPause = std::chrono::milliseconds(50);
  if (memory) online_memory();
  if (count == 0) co_return Status{};
  std::uint32_t online = 0;
  for (int i = 0; i < kTries; ++i) {
    online = online_cpus();
    if (online >= count) co_return Status{};
    // A CPU that is being plugged in appears in sysfs a little later; there is no event to wait
    // for.
    co_await sleep_for(kPause);
  }
  co_return fail(Code::kInternal,
                 fmt::format("bring {} CPUs online: only {} are there", count, online));
}

Status probe_memory(std::span<const std::uint64_t> addresses) {
  for (const auto address : addresses)
    COFFER_TRY_VOID(write_file(fs::path(kMemory) / "probe", fmt::format("0x{:X}", address)));
  return {};
}

std::uint64_t memory_block_size() {
  const auto text = read_file(fs::path(kMemory) / "block_size_bytes", 64);
  std::uint64_t size = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), size, 16);
  return size;
}

bool can_probe_memory() {
  std::error_code error;
  return fs::exists(fs::path(kMemory) / "probe", error);
}

}  // namespace coffer::agent
