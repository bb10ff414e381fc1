// `coffer kbs pack-reference-values`, and CoRIMs of what `coffer measure` computes.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "cli/command.h"

namespace coffer::cli {

struct CorimOptions {
  std::string id, key_file;  // empty: a digest of the values; not signed
  std::string days = "365";
};
void declare_corim(Options& options, CorimOptions& corim);
// `values`: an object of name to what is allowed.
[[nodiscard]] Result<std::string> make_corim(const nlohmann::json& values,
                                             const CorimOptions& corim);

// The two forms that `coffer kbs set-reference-values` takes: "reference-values", a list in JSON
// that says of each value where it is from, and "corim".
[[nodiscard]] bool is_values_format(std::string_view format);
[[nodiscard]] Result<std::string> format_values(std::string_view format,
                                                const nlohmann::json& values,
                                                const std::string& source,
                                                const CorimOptions& corim);

[[nodiscard]] Command kbs_pack_reference_values();

}  // namespace coffer::cli
