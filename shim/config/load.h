// Reads Kata's TOML configuration: which file, its drop-ins, and what its keys say.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "shim/config/config.h"

namespace coffer::shim {

struct LoadedConfig {
  Config config;
  // One line each, to be logged: unknown keys, keys Coffer does not support, and their places.
  std::vector<std::string> warnings;
};

// What can name a configuration, strongest first.
struct ConfigSources {
  std::string option_path;  // runtime options' config_path
  std::string option_body;  // runtime options' config_body, when there is no path
  std::string env_path;     // KATA_CONF_FILE
  // Searched in order when none of the above is given; the first that exists.
  std::vector<std::filesystem::path> search = default_config_paths();

  [[nodiscard]] static std::vector<std::filesystem::path> default_config_paths();
};

// Loads the configuration that `sources` choose. kNotFound lists what was searched.
[[nodiscard]] Result<LoadedConfig> load_config(const ConfigSources& sources);

// Reads `path` (symlinks resolved), then every file of the "config.d" beside it in byte order
// of name: tables merge, other values replace. kInvalidArgument names file, line and key.
[[nodiscard]] Result<LoadedConfig> load_config_file(const std::filesystem::path& path);

// One document without drop-ins, laid over `base`. `name` stands for the file in messages. Does not
// validate(). Bounded: at most 1 MiB.
[[nodiscard]] Result<LoadedConfig> parse_config(std::string_view text, std::string_view name,
                                                const Config& base = {});

}  // namespace coffer::shim
