// Pod annotations that change the configuration ("io.katacontainers.config.*"). They come from
// whoever may create pods, so hypervisor ones need the class's permission (`enable_annotations`).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "shim/config/config.h"

namespace coffer::shim {

inline constexpr std::string_view kInitdataAnnotation =
    "io.katacontainers.config.hypervisor.cc_init_data";
inline constexpr std::string_view kAgentPolicyAnnotation = "io.katacontainers.config.agent.policy";

struct AnnotatedConfig {
  Config config;
  // cc_init_data as given (base64 of gzip of TOML), else the class's `initdata`, else "".
  std::string initdata;
  std::vector<std::string> warnings;
};

// Lays the annotations over `config`. Those of other prefixes are passed over. kPermissionDenied:
// "annotation '...' is not enabled (add it to enable_annotations in FILE)", or a path outside its
// allow-list; kInvalidArgument: a value of the wrong form.
[[nodiscard]] Result<AnnotatedConfig> apply_annotations(
    const Config& config, const std::map<std::string, std::string>& annotations);

// Merges "k=v" words: a key in `extra` replaces all of the same key in `base`.
[[nodiscard]] std::string merge_kernel_params(std::string_view base, std::string_view extra);

}  // namespace coffer::shim
