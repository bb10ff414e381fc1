#include "guest-image/modules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "guest-image/elf.h"

namespace coffer::guest_image {
namespace {

constexpr auto kDefaultModules = std::to_array<std::string_view>({
    // Devices that the shim gives to a guest.
    "virtio_net",
    "virtio_blk",
    "virtio_scsi",
    "sd_mod",
    "virtio_rng",
    "virtio_balloon",
    "virtio_mem",
    "vmw_vsock_virtio_transport",
    "9pnet_virtio",
    // File systems of container roots and volumes.
    "9p",
    "overlay",
    "ext4",
    "erofs",
    "loop",
    // Protected block devices: image layers (verity), scratch space (crypt, integrity).
    "dm_mod",
    "dm_verity",
    "dm_crypt",
    "dm_integrity",
    "crypto_simd",
    "aesni_intel",
    "xts",
    "essiv",
    "authenc",
    "crc32c_intel",
    // Evidence.
    "configfs",
    "tsm",
    "sev_guest",
    "tdx_guest",
    // Container networking inside of the guest.
    "tun",
    "veth",
    "bridge",
});

// What every pod loads: lies unpacked, since xz takes longer to undo than the bytes to copy. The
// others lie as the package has them, a quarter of the size, and are unpacked by the kernel when
// asked for.
constexpr auto kLoadedByAll = std::to_array<std::string_view>({
    "virtio_net",
    "virtio_rng",
    "9p",
    "9pnet_virtio",
});

constexpr std::string_view kXzMagic(
    "\xfd"
    "7zXZ\0",
    6);

struct Module {
  std::string content;
  ElfInfo info;
};

// Resolves names to their load order.
class Graph {
 public:
  explicit Graph(const Kernel& kernel) : kernel_(kernel) {}

  // What has to be loaded for `name`, itself last. Empty when it is built in. Names that exist
  // nowhere are collected in missing().
  [[nodiscard]] Result<std::vector<std::string>> order(const std::string& name) {
    std::vector<std::string> result;
    std::set<std::string> visiting;
    COFFER_TRY_VOID(visit(name, result, visiting));
    return result;
  }

  [[nodiscard]] const std::set<std::string>& missing() const { return missing_; }
  [[nodiscard]] Result<std::vector<std::string>> aliases(const std::string& name) {
    COFFER_TRY(const auto* module, load(name));
    return values(module->info, "alias=");
  }
  // The file to put into the image, and what follows its ".ko".
  struct File {
    std::string content, suffix;
  };
  [[nodiscard]] Result<File> file(const std::string& name, bool unpacked) {
    const auto& packed = kernel_.modules.at(name);
    if (!unpacked && kernel_.loads_xz && packed.starts_with(kXzMagic)) return File{packed, ".xz"};
    COFFER_TRY(const auto* module, load(name));
    return File{module->content, ""};
  }

 private:
  static std::vector<std::string> values(const ElfInfo& info, std::string_view key) {
    std::vector<std::string> found;
    for (const auto& line : info.modinfo) {
      if (line.starts_with(key)) found.push_back(line.substr(key.size()));
    }
    return found;
  }

  Result<const Module*> load(const std::string& name) {
    const auto known = loaded_.find(name);
    if (known != loaded_.end()) return &known->second;
    COFFER_TRY(auto content, kernel_.module(name));
    COFFER_TRY(auto info, read_elf(as_bytes(content), name + ".ko"));
    return &loaded_.emplace(name, Module{std::move(content), std::move(info)}).first->second;
  }

  // "depends=a,b".
  Result<std::vector<std::string>> dependencies(const std::string& name) {
    COFFER_TRY(const auto* module, load(name));
    std::vector<std::string> found;
    for (const auto& list : values(module->info, "depends=")) {
      for (std::size_t start = 0; start < list.size();) {
        const auto end = std::min(list.find(',', start), list.size());
        std::string one = list.substr(start, end - start);
        std::ranges::replace(one, '-', '_');
        if (!one.empty()) found.push_back(std::move(one));
        start = end + 1;
      }
    }
    return found;
  }

  // The depth is bounded by the number of modules: `visiting` refuses a cycle.
  Status visit(const std::string& name, std::vector<std::string>& result,
               std::set<std::string>& visiting) {
    if (kernel_.builtin.contains(name) || std::ranges::find(result, name) != result.end()) {
      return {};
    }
    if (!kernel_.modules.contains(name)) {
      missing_.insert(name);
      return {};
    }
    if (!visiting.insert(name).second) {
      return fail(Code::kInvalidArgument, fmt::format("module '{}': depends on itself", name));
    }
    COFFER_TRY(const auto needed, dependencies(name));
    for (const auto& dependency : needed) COFFER_TRY_VOID(visit(dependency, result, visiting));
    visiting.erase(name);
    result.push_back(name);
    return {};
  }

  const Kernel& kernel_;
  std::map<std::string, Module> loaded_;
  std::set<std::string> missing_;
};

// Puts modules into the image, each once.
class Placer {
 public:
  Placer(CpioTree& tree, Graph& graph, std::string version)
      : tree_(tree), graph_(graph), version_(std::move(version)) {}

  // `name` and all that it needs will lie unpacked. To be said before any place().
  Status unpack(const std::string& name) {
    COFFER_TRY(const auto order, graph_.order(name));
    unpacked_.insert(order.begin(), order.end());
    return {};
  }

  // The module's absolute path in the image.
  Result<std::string> place(const std::string& module) {
    if (const auto placed = paths_.find(module); placed != paths_.end()) return placed->second;
    COFFER_TRY(auto file, graph_.file(module, unpacked_.contains(module)));
    const std::string path =
        fmt::format("usr/lib/modules/{}/{}.ko{}", version_, module, file.suffix);
    COFFER_TRY_VOID(tree_.add_file(path, std::move(file.content), 0644));
    return paths_.emplace(module, "/" + path).first->second;
  }

 private:
  CpioTree& tree_;
  Graph& graph_;
  std::string version_;
  std::set<std::string> unpacked_;
  std::map<std::string, std::string> paths_;
};

struct Lists {
  std::string at_start, names, alias;
};

Status write_lists(CpioTree& tree, Lists lists) {
  COFFER_TRY_VOID(tree.add_file("etc/coffer/modules", std::move(lists.at_start), 0644));
  COFFER_TRY_VOID(tree.add_file("etc/coffer/modules.names", std::move(lists.names), 0644));
  return tree.add_file("etc/coffer/modules.alias", std::move(lists.alias), 0644);
}

}  // namespace

std::span<const std::string_view> default_modules() { return kDefaultModules; }

Status add_modules(CpioTree& tree, const Kernel& kernel, std::span<const std::string> names,
                   std::span<const std::string> at_start) {
  Graph graph(kernel);
  Placer placer(tree, graph, kernel.version);
  for (const auto name : kLoadedByAll) COFFER_TRY_VOID(placer.unpack(std::string(name)));
  for (const auto& name : at_start) COFFER_TRY_VOID(placer.unpack(name));
  Lists lists;
  std::set<std::string> listed_at_start;
  const std::set<std::string> wanted(names.begin(), names.end());
  for (const auto& name : wanted) {
    COFFER_TRY(const auto order, graph.order(name));
    if (order.empty()) continue;
    std::vector<std::string> paths;
    for (const auto& module : order) {
      COFFER_TRY(auto path, placer.place(module));
      paths.push_back(std::move(path));
    }
    lists.names += fmt::format("{} {}\n", name, fmt::join(paths, " "));
    COFFER_TRY(const auto aliases, graph.aliases(name));
    for (const auto& alias : aliases) lists.alias += fmt::format("{} {}\n", alias, name);
  }
  for (const auto& name : at_start) {
    COFFER_TRY(const auto order, graph.order(name));
    for (const auto& module : order) {
      if (!listed_at_start.insert(module).second) continue;
      COFFER_TRY(const auto path, placer.place(module));
      lists.at_start += path + "\n";
    }
  }
  if (!graph.missing().empty()) {
    return fail(Code::kNotFound, fmt::format("find kernel modules: kernel {} has no {}",
                                             kernel.version, fmt::join(graph.missing(), ", ")));
  }
  return write_lists(tree, std::move(lists));
}

}  // namespace coffer::guest_image
