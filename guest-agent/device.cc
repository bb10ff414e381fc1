#include "guest-agent/device.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "base/fd.h"
#include "guest-agent/modules.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kMaxSlot = 0x1f;
constexpr unsigned kMaxFunction = 7;
constexpr std::size_t kMaxDepth = 8;

std::optional<unsigned> hex(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

struct Hop {
  unsigned slot = 0;
  unsigned function = 0;
};

std::optional<Hop> parse_hop(std::string_view text) {
  const auto dot = text.find('.');
  const auto slot = hex(text.substr(0, dot));
  const auto function =
      dot == std::string_view::npos ? std::optional<unsigned>(0) : hex(text.substr(dot + 1));
  if (!slot || !function || *slot > kMaxSlot || *function > kMaxFunction) return std::nullopt;
  return Hop{.slot = *slot, .function = *function};
}

// The only entry of a directory whose name starts with `prefix`.
std::optional<fs::path> child(const fs::path& dir, std::string_view prefix) {
  std::error_code error;
  for (auto it = fs::directory_iterator(dir, error); !error && it != fs::directory_iterator();
       it.increment(error))
    if (it->path().filename().string().starts_with(prefix)) return it->path();
  return std::nullopt;
}

std::optional<std::string> first_name(const std::optional<fs::path>& dir) {
  if (!dir) return std::nullopt;
  const auto entry = child(*dir, "");
  return entry ? std::optional(entry->filename().string()) : std::nullopt;
}

std::optional<fs::path> walk_pci(const fs::path& sys, std::string_view pci_path) {
  fs::path at = sys / "devices/pci0000:00";
  std::string bus = "0000:00";
  for (const auto part : split(pci_path, '/')) {
    const auto hop = parse_hop(part);
    if (!hop) return std::nullopt;
    if (bus.empty()) {
      const auto behind = child(at / "pci_bus", "");
      if (!behind) return std::nullopt;
      bus = behind->filename().string();
    }
    at /= fmt::format("{}:{:02x}.{:x}", bus, hop->slot, hop->function);
    bus.clear();
  }
  std::error_code error;
  return fs::is_directory(at, error) ? std::optional(at) : std::nullopt;
}

Result<Fd> open_uevents() {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;  // the kernel's own
  // SAFETY: sockaddr_nl is AF_NETLINK's sockaddr.
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (!fd.valid() || ::bind(fd.get(), generic, sizeof(address)) != 0)
    return fail_errno(errno, "listen for uevents");
  return fd;
}

// Uevents are only a hint to look again: their text is not used.
void drain(const Fd& fd) {
  std::array<char, 8192> buffer{};
  while (::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
  }
}

}  // namespace

Status check_pci_path(std::string_view pci_path) {
  const auto parts = split(pci_path, '/');
  bool good = parts.size() <= kMaxDepth;
  for (const auto part : parts) good = good && parse_hop(part).has_value();
  if (!good)
    return fail(Code::kInvalidArgument,
                fmt::format("read PCI path '{}': want slots in hex joined by '/'", pci_path));
  return {};
}

Task<Result<std::string>> DeviceFinder::await(std::string what,
                                              std::function<std::optional<std::string>()> look) {
  // Subscribed before the first look: nothing can appear unseen in between.
  COFFER_CO_TRY(const auto uevents, open_uevents());
  const auto deadline = deadline_in(timeout_);
  for (;;) {
    if (auto found = look()) co_return *std::move(found);
    auto more = co_await wait_readable(uevents.get(), deadline);
    if (!more) co_return fail(std::move(more).error());
    if (!*more)
      co_return fail(Code::kDeadlineExceeded,
                     fmt::format("wait for {}: it did not appear in {} s", what, timeout_.count()));
    drain(uevents);
    // A driver that is missing is told by the device not appearing.
    std::ignore = modules_.load_for_devices();
  }
}

Task<Result<fs::path>> DeviceFinder::pci_device(std::string pci_path) {
  COFFER_CO_TRY_VOID(check_pci_path(pci_path));
  std::function<std::optional<std::string>()> look = [&]() -> std::optional<std::string> {
    const auto found = walk_pci(sys_, pci_path);
    return found ? std::optional(found->string()) : std::nullopt;
  };
  auto what = fmt::format("the PCI device '{}'", pci_path);
  auto found = co_await await(std::move(what), std::move(look));
  if (!found) co_return fail(std::move(found).error());
  co_return fs::path(*found);
}

Task<Result<std::string>> DeviceFinder::block_by_pci_path(std::string pci_path) {
  COFFER_CO_TRY_VOID(check_pci_path(pci_path));
  std::function<std::optional<std::string>()> look = [&]() -> std::optional<std::string> {
    const auto pci = walk_pci(sys_, pci_path);
    const auto virtio = pci ? child(*pci, "virtio") : std::nullopt;
    const auto name = virtio ? first_name(*virtio / "block") : std::nullopt;
    std::error_code error;
    if (!name || !fs::is_block_file(dev_ / *name, error)) return std::nullopt;
    return (dev_ / *name).string();
  };
  auto what = fmt::format("the disk at PCI path '{}'", pci_path);
  co_return co_await await(std::move(what), std::move(look));
}

Task<Result<std::string>> DeviceFinder::network_by_pci_path(std::string pci_path) {
  COFFER_CO_TRY_VOID(check_pci_path(pci_path));
  std::function<std::optional<std::string>()> look = [&]() -> std::optional<std::string> {
    const auto pci = walk_pci(sys_, pci_path);
    if (!pci) return std::nullopt;
    if (auto direct = first_name(*pci / "net")) return direct;
    const auto virtio = child(*pci, "virtio");
    return virtio ? first_name(*virtio / "net") : std::nullopt;
  };
  auto what = fmt::format("the network interface at PCI path '{}'", pci_path);
  co_return co_await await(std::move(what), std::move(look));
}

Task<Result<std::string>> DeviceFinder::block_by_scsi_address(std::string address) {
  const auto parts = split(address, ':');
  if (parts.size() != 2 || !hex(parts[0]) || !hex(parts[1]))
    co_return fail(Code::kInvalidArgument,
                   fmt::format("read SCSI address '{}': want <id>:<lun>", address));
  std::error_code error;
  for (auto it = fs::directory_iterator(sys_ / "class/scsi_host", error);
       !error && it != fs::directory_iterator(); it.increment(error)) {
    // A host that cannot scan is not the one we wait for.
    std::ignore = write_file(it->path() / "scan", fmt::format("0 {} {}", parts[0], parts[1]));
  }
  const auto suffix = fmt::format(":0:{}:{}", parts[0], parts[1]);
  std::function<std::optional<std::string>()> look = [&]() -> std::optional<std::string> {
    std::error_code ignored;
    for (auto it = fs::directory_iterator(sys_ / "bus/scsi/devices", ignored);
         !ignored && it != fs::directory_iterator(); it.increment(ignored)) {
      if (!it->path().filename().string().ends_with(suffix)) continue;
      const auto name = first_name(it->path() / "block");
      if (name && fs::is_block_file(dev_ / *name, ignored)) return (dev_ / *name).string();
    }
    return std::nullopt;
  };
  auto what = fmt::format("the SCSI disk '{}'", address);
  co_return co_await await(std::move(what), std::move(look));
}

Task<Result<std::string>> DeviceFinder::node(std::string path) {
  if (!path.starts_with("/dev/") || path.find("..") != std::string::npos)
    co_return fail(Code::kInvalidArgument,
                   fmt::format("read device '{}': want a path below /dev", path));
  const auto here = dev_ / path.substr(5);
  std::function<std::optional<std::string>()> look = [&]() -> std::optional<std::string> {
    std::error_code error;
    if (!fs::is_block_file(here, error) && !fs::is_character_file(here, error)) return std::nullopt;
    return here.string();
  };
  auto what = fmt::format("the device '{}'", path);
  co_return co_await await(std::move(what), std::move(look));
}

}  // namespace coffer::agent
