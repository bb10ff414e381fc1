#include "guest-agent/modules.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <linux/module.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace

Status Modules::insert(const std::string& path) {
  if (!inserted_.insert(path).second) return {};
  COFFER_TRY(const auto file, open_file(root_ / path, O_RDONLY));
  // ".ko.xz": the kernel unpacks it (CONFIG_MODULE_DECOMPRESS).
  const int flags = path.ends_with(".ko") ? 0 : MODULE_INIT_COMPRESSED_FILE;
  if (::syscall(SYS_finit_module, file.get(), "", flags) != 0 && errno != EEXIST)
    return fail_errno(errno, fmt::format("load kernel module '{}'", path));
  return {};
}

Status Modules::read_lists() {
  if (read_) return {};
  read_ = true;
  std::error_code error;
  if (!fs::exists(lists_ / "modules.names", error)) return {};
  COFFER_TRY(const auto names, read_file(lists_ / "modules.names"));
  for (const auto& line : split(names, '\n')) {
    auto fields = split(line, ' ');
    if (fields.size() < 2) continue;
    const auto name = std::move(fields.front());
    fields.erase(fields.begin());
    paths_.emplace(name, std::move(fields));
  }
  COFFER_TRY(const auto aliases, read_file(lists_ / "modules.alias"));
  for (const auto& line : split(aliases, '\n')) {
    const auto space = line.rfind(' ');
    if (space != std::string::npos)
      aliases_.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return {};
}

Status Modules::load_at_start() {
  std::error_code error;
  if (!fs::exists(lists_ / "modules", error)) return {};
  COFFER_TRY(const auto list, read_file(lists_ / "modules"));
  Status status;
  for (const auto& path : split(list, '\n'))
    if (auto one = insert(path); !one) status = std::move(one);
  return status;
}

Status Modules::load(std::string_view name) {
  COFFER_TRY_VOID(read_lists());
  std::string key(name);
  std::ranges::replace(key, '-', '_');
  const auto found = paths_.find(key);
  if (found == paths_.end()) return {};
  for (const auto& path : found->second) COFFER_TRY_VOID(insert(path));
  return {};
}

Status Modules::load_for_devices() {
  COFFER_TRY_VOID(read_lists());
  if (aliases_.empty()) return {};
  Status status;
  // A driver that is loaded may show devices behind it (virtio-pci: the virtio bus): look again
  // until nothing new appears.
  for (bool more = true; more;) {
    more = false;
    for (const char* bus : {"pci", "virtio", "acpi", "platform"}) {
      std::error_code error;
      const auto devices = sys_ / "bus" / bus / "devices";
      for (auto it = fs::directory_iterator(devices, error);
           !error && it != fs::directory_iterator(); it.increment(error)) {
        auto alias = read_file(it->path() / "modalias", 4096);
        if (!alias) continue;
        while (!alias->empty() && alias->back() == '\n') alias->pop_back();
        if (alias->empty() || !seen_aliases_.insert(*alias).second) continue;
        for (const auto& [pattern, name] : aliases_) {
          if (::fnmatch(pattern.c_str(), alias->c_str(), 0) != 0) continue;
          more = true;
          // One driver that fails must not keep the others out.
          if (auto one = load(name); !one) status = std::move(one);
        }
      }
    }
  }
  return status;
}

}  // namespace coffer::agent
