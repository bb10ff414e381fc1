#include "shim/config/load.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/fd.h"
#include "base/toml.h"
#include "shim/config/keys.h"

namespace coffer::shim {
namespace {

constexpr std::size_t kMaxConfigBytes = std::size_t{1} << 20U;
constexpr std::size_t kMaxDropIns = 256;
constexpr std::size_t kMaxWarnings = 100;

std::optional<Value> to_value(const toml::node& node) {
  if (const auto* value = node.as_boolean()) return Value(value->get());
  if (const auto* value = node.as_integer()) return Value(value->get());
  if (const auto* value = node.as_floating_point()) return Value(value->get());
  if (const auto* value = node.as_string()) return Value(value->get());
  if (node.is_table()) return Value(TableValue{});
  const auto* array = node.as_array();
  if (array == nullptr) return std::nullopt;  // a date or a time
  if (!array->empty() && array->is_array_of_tables()) return Value(TableValue{});
  std::vector<std::string> list;
  for (const auto& item : *array) {
    const auto* text = item.as_string();
    if (text == nullptr) return std::nullopt;
    list.push_back(text->get());
  }
  return Value(std::move(list));
}

// "*" stands for any value.
bool asks_for_nothing(const Key& key, const Value& value) {
  if (key.inert == "*" || is_inert(value)) return true;
  if (key.inert.empty()) return false;
  const auto inert = value_from_text(kind_of(value), key.inert);
  return inert && *inert == value;
}

class Reader {
 public:
  Reader(std::string_view file, LoadedConfig& loaded) : file_(file), loaded_(loaded) {}

  // Recursion stops at the depth of the schema's sections.
  Status table(const toml::table& table, const std::string& section) {
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      const std::string inner = section.empty() ? name : section + "." + name;
      const auto line = key.source().begin.line;
      if (const auto* sub = node.as_table(); sub != nullptr && is_section(inner)) {
        COFFER_TRY_VOID(this->table(*sub, inner));
      } else {
        COFFER_TRY_VOID(entry(section, name, node, line));
      }
    }
    return {};
  }

 private:
  Status entry(const std::string& section, const std::string& name, const toml::node& node,
               toml::source_index line) {
    const Key* key = find_key(section, name);
    if (key == nullptr) {
      warn(line, node.is_table() ? fmt::format("section [{}{}{}] is unknown and ignored", section,
                                               section.empty() ? "" : ".", name)
                                 : fmt::format("{} is unknown and ignored", place(section, name)));
      return {};
    }
    const auto value = to_value(node);
    if (!value) {
      return at(line, section, name,
                Error(Code::kInvalidArgument, fmt::format("want {}", kind_name(key->kind))));
    }
    if (auto status = set_key(*key, loaded_.config, *value); !status) {
      return at(line, section, name, std::move(status).error());
    }
    if (key->set == nullptr && !asks_for_nothing(*key, *value)) {
      warn(line, fmt::format("{} is not supported by Coffer and ignored", place(section, name)));
    }
    return {};
  }

  static std::string place(const std::string& section, const std::string& name) {
    return section.empty() ? fmt::format("key '{}'", name)
                           : fmt::format("[{}] key '{}'", section, name);
  }

  Status at(toml::source_index line, const std::string& section, const std::string& name,
            Error error) const {
    return fail(error.code(),
                fmt::format("{}:{}: {}: {}", file_, line, place(section, name), error.message()));
  }

  void warn(toml::source_index line, const std::string& text) {
    if (loaded_.warnings.size() < kMaxWarnings) {
      loaded_.warnings.push_back(fmt::format("{}:{}: {}", file_, line, text));
    }
  }

  std::string_view file_;
  LoadedConfig& loaded_;
};

Status lay_over(LoadedConfig& loaded, std::string_view text, std::string_view name) {
  if (text.size() > kMaxConfigBytes) {
    return fail(Code::kResourceExhausted,
                fmt::format("{}: larger than {} bytes", name, kMaxConfigBytes));
  }
  COFFER_TRY(const toml::table table, parse_toml(text, name));
  return Reader(name, loaded).table(table, "");
}

Result<std::vector<std::filesystem::path>> drop_ins(const std::filesystem::path& main_file) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  std::filesystem::directory_iterator it(main_file.parent_path() / "config.d", error);
  if (error == std::errc::no_such_file_or_directory) return files;
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    if (it->is_regular_file(error)) files.push_back(it->path());
    if (files.size() > kMaxDropIns) {
      return fail(Code::kResourceExhausted,
                  fmt::format("read '{}': more than {} files",
                              (main_file.parent_path() / "config.d").native(), kMaxDropIns));
    }
  }
  if (error) {
    return fail_errno(error.value(),
                      fmt::format("read '{}'", (main_file.parent_path() / "config.d").native()));
  }
  std::ranges::sort(files, {}, [](const auto& path) { return path.filename().native(); });
  return files;
}

}  // namespace

std::vector<std::filesystem::path> ConfigSources::default_config_paths() {
  return {"/etc/kata-containers/configuration.toml",
          "/opt/kata/share/defaults/kata-containers/configuration.toml",
          "/opt/kata/share/defaults/kata-containers/configuration-qemu.toml",
          "/usr/share/defaults/kata-containers/configuration.toml"};
}

Result<LoadedConfig> parse_config(std::string_view text, std::string_view name,
                                  const Config& base) {
  LoadedConfig loaded{base, {}};
  COFFER_TRY_VOID(lay_over(loaded, text, name));
  return loaded;
}

Result<LoadedConfig> load_config_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto file = std::filesystem::canonical(path, error);
  if (error) return fail_errno(error.value(), fmt::format("open '{}'", path.native()));
  LoadedConfig loaded;
  loaded.config.file = file;
  COFFER_TRY(const auto files, drop_ins(file));
  COFFER_TRY(const auto text, read_file(file, kMaxConfigBytes));
  COFFER_TRY_VOID(lay_over(loaded, text, file.native()));
  for (const auto& drop_in : files) {
    COFFER_TRY(const auto more, read_file(drop_in, kMaxConfigBytes));
    COFFER_TRY_VOID(lay_over(loaded, more, drop_in.native()));
  }
  if (loaded.config.hypervisor.block_device_driver == "virtio-scsi") {
    loaded.warnings.push_back(fmt::format(
        "{}: block_device_driver \"virtio-scsi\": Coffer uses virtio-blk-pci", file.native()));
  }
  return loaded;
}

Result<LoadedConfig> load_config(const ConfigSources& sources) {
  if (!sources.option_path.empty()) return load_config_file(sources.option_path);
  if (!sources.option_body.empty()) {
    return parse_config(sources.option_body, "runtime options' config_body");
  }
  if (!sources.env_path.empty()) return load_config_file(sources.env_path);
  std::string searched;
  for (const auto& path : sources.search) {
    std::error_code error;
    if (std::filesystem::exists(path, error)) return load_config_file(path);
    searched += (searched.empty() ? "'" : ", '") + path.native() + "'";
  }
  return fail(Code::kNotFound,
              fmt::format("find the configuration: none of {} exists (set ConfigPath in the "
                          "runtime's options)",
                          searched));
}

}  // namespace coffer::shim
