#include "shim/config/annotations.h"

#include <fmt/format.h>
#include <fnmatch.h>
#include <regex.h>

#include <algorithm>
#include <array>
#include <memory>

#include "shim/config/keys.h"
#include "shim/config/value.h"

namespace coffer::shim {
namespace {

constexpr std::string_view kPrefix = "io.katacontainers.config.";
constexpr std::string_view kPinning = "io.katacontainers.enable_vcpus_pinning";
// Kubernetes holds a name to 253 + 1 + 63 characters.
constexpr std::size_t kMaxName = 317;
constexpr std::size_t kMaxValue = std::size_t{1} << 20U;

// The annotation's name where it differs from its key's.
struct Renamed {
  std::string_view annotation;
  std::string_view key;
};
constexpr std::array kRenamed = {
    Renamed{"default_max_vcpus", "default_maxvcpus"},
    Renamed{"blk_logical_sector_size", "block_device_logical_sector_size"},
    Renamed{"blk_physical_sector_size", "block_device_physical_sector_size"},
};

std::string_view key_name(std::string_view annotation) {
  const auto it = std::ranges::find(kRenamed, annotation, &Renamed::annotation);
  return it == kRenamed.end() ? annotation : it->key;
}

// Matches the whole of `text`. POSIX extended syntax; the C library's matcher costs the shim no
// code. A pattern that does not compile matches nothing but itself.
bool matches_whole(const std::string& pattern, const std::string& text) {
  if (pattern == text) return true;
  regex_t compiled{};
  const std::string anchored = "^(" + pattern + ")$";
  if (::regcomp(&compiled, anchored.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return false;
  const bool matched = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return matched;
}

bool is_enabled(const HypervisorConfig& hypervisor, const std::string& name) {
  return std::ranges::any_of(hypervisor.enable_annotations, [&](const std::string& pattern) {
    return matches_whole(pattern, name);
  });
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

// Which allow-list holds for a path-valued annotation; null for one that is no path.
const std::vector<std::string>* allow_list(const HypervisorConfig& hypervisor,
                                           std::string_view name) {
  if (name == "path") return &hypervisor.valid_hypervisor_paths;
  if (name == "virtio_fs_daemon") return &hypervisor.valid_virtio_fs_daemon_paths;
  if (name == "entropy_source") return &hypervisor.valid_entropy_sources;
  for (const std::string_view boot : {"kernel", "initrd", "image", "firmware", "firmware_volume"}) {
    if (name == boot) return &hypervisor.valid_boot_paths;
  }
  return nullptr;
}

bool climbs(std::string_view path) {
  return path == ".." || path.starts_with("../") || path.ends_with("/..") ||
         path.find("/../") != std::string_view::npos;
}

Status check_path(const HypervisorConfig& hypervisor, std::string_view name,
                  const std::string& path) {
  const auto* globs = allow_list(hypervisor, name);
  if (globs == nullptr) return {};
  if (!path.starts_with('/') || climbs(path)) {
    return fail(Code::kInvalidArgument,
                fmt::format("got '{}', want an absolute path without '..'", path));
  }
  // Kata has no list for boot files; ours is optional.
  if (globs == &hypervisor.valid_boot_paths && globs->empty()) return {};
  const bool allowed = std::ranges::any_of(*globs, [&](const std::string& glob) {
    return ::fnmatch(glob.c_str(), path.c_str(), FNM_PATHNAME) == 0;
  });
  if (allowed) return {};
  return fail(Code::kPermissionDenied,
              fmt::format("path '{}' is not in the class's list of valid paths", path));
}

class Applier {
 public:
  explicit Applier(AnnotatedConfig& out) : out_(out), class_(out.config) {}

  Status apply(const std::string& name, const std::string& value) {
    if (name == kPinning) return set("runtime", "enable_vcpus_pinning", value);
    if (!name.starts_with(kPrefix)) return {};
    if (name.size() > kMaxName || !is_printable(name)) {
      return fail(Code::kInvalidArgument, "the name is too long or holds foreign characters");
    }
    if (value.size() > kMaxValue) {
      return fail(Code::kResourceExhausted,
                  fmt::format("the value is larger than {} bytes", kMaxValue));
    }
    const std::string rest = name.substr(kPrefix.size());
    if (rest.starts_with("hypervisor.")) return hypervisor(name, rest.substr(11), value);
    if (rest.starts_with("agent.")) return set("agent.kata", rest.substr(6), value);
    if (rest.starts_with("runtime.")) return set("runtime", rest.substr(8), value);
    return unknown(name);
  }

 private:
  Status hypervisor(const std::string& full, const std::string& name, const std::string& value) {
    if (!is_enabled(class_.hypervisor, name)) {
      return fail(
          Code::kPermissionDenied,
          fmt::format("annotation {} is not enabled (add it to enable_annotations in {})", full,
                      class_.file.empty() ? "the configuration" : class_.file.native()));
    }
    if (name == "cc_init_data") {
      out_.initdata = value;
      return {};
    }
    if (name.ends_with("_hash") || name == "asset_hash_type") {
      // Passing it over would start what the user asked to have checked.
      return fail(Code::kUnimplemented,
                  "asset hashes are not supported; the launch measurement covers the boot files");
    }
    COFFER_TRY_VOID(check_path(class_.hypervisor, name, value));
    if (name == "kernel_params") {
      auto& params = out_.config.hypervisor.kernel_params;
      params = merge_kernel_params(params, value);
      return {};
    }
    return set("hypervisor.qemu", key_name(name), value);
  }

  Status set(std::string_view section, std::string_view name, const std::string& value) {
    const Key* key = find_key(section, name);
    if (key == nullptr || opens_gate(name)) {
      return unknown(fmt::format("{}{}.{}", kPrefix, section, name));
    }
    if (key->set == nullptr) {
      out_.warnings.push_back(fmt::format(
          "annotation for [{}] {}: not supported by Coffer and ignored", section, name));
      return {};
    }
    COFFER_TRY(const Value parsed, value_from_text(key->kind, value));
    return set_key(*key, out_.config, parsed);
  }

  // Keys that decide what annotations may do, or whether a TEE protects the pod, are the class's
  // alone, whatever enable_annotations says.
  static bool opens_gate(std::string_view name) {
    return name == "enable_annotations" || name.starts_with("valid_") || name == "tee" ||
           name == "tee_emulation" || name == "tee_emulation_vendor" ||
           name == "attestation_required" || name == "confidential_guest" ||
           name == "sev_snp_guest" || name == "accelerator" || name == "kubelet_root_dir" ||
           name == "dan_conf";
  }

  Status unknown(std::string_view name) {
    out_.warnings.push_back(fmt::format("annotation '{}': unknown and ignored", name));
    return {};
  }

  AnnotatedConfig& out_;
  const Config class_;  // as the class has it: no annotation can widen what another may do
};

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  bool quoted = false;
  std::size_t start = std::string_view::npos;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const bool end = i == text.size() || (!quoted && (text[i] == ' ' || text[i] == '\t'));
    if (!end && text[i] == '"') quoted = !quoted;
    if (!end && start == std::string_view::npos) start = i;
    if (end && start != std::string_view::npos) {
      words.push_back(text.substr(start, i - start));
      start = std::string_view::npos;
    }
  }
  return words;
}

std::string_view param_key(std::string_view word) { return word.substr(0, word.find('=')); }

}  // namespace

std::string merge_kernel_params(std::string_view base, std::string_view extra) {
  const auto added = split_words(extra);
  std::string merged;
  const auto append = [&](std::string_view word) {
    if (!merged.empty()) merged += ' ';
    merged += word;
  };
  for (const auto word : split_words(base)) {
    const bool replaced = std::ranges::any_of(
        added, [&](std::string_view other) { return param_key(other) == param_key(word); });
    if (!replaced) append(word);
  }
  for (const auto word : added) append(word);
  return merged;
}

Result<AnnotatedConfig> apply_annotations(const Config& config,
                                          const std::map<std::string, std::string>& annotations) {
  AnnotatedConfig out{config, config.hypervisor.initdata, {}};
  Applier applier(out);
  for (const auto& [name, value] : annotations) {
    if (auto status = applier.apply(name, value); !status) {
      Error error = std::move(status).error();
      // The gate's own message names the annotation already.
      if (error.message().starts_with("annotation ")) return fail(std::move(error));
      return fail(std::move(error).with_context(
          fmt::format("annotation '{}'", std::string_view(name).substr(0, kMaxName))));
    }
  }
  return out;
}

}  // namespace coffer::shim
