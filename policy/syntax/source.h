// Source texts and places in them, and errors that show the line with a caret under it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace coffer::policy {

struct SourceFile {
  std::string name;
  std::string text;
};
using SourcePtr =
    std::shared_ptr<const SourceFile>;  // shared: modules, programs and errors name it

struct Location {
  const SourceFile* file = nullptr;
  std::uint32_t offset = 0;  // bytes from the start
  std::uint32_t line = 0;    // from 1; 0: nowhere
  std::uint32_t column = 0;  // from 1, in bytes
};

// The line a location stands on, without its newline.
[[nodiscard]] std::string_view source_line(const Location& location);
// "policy.rego:12".
[[nodiscard]] std::string place(const Location& location);

struct Diagnostic {
  std::string code;  // "rego_parse_error", "rego_unsafe_var_error", ...
  Location location;
  std::string message;
};
// "policy.rego:12:5: rego_parse_error: MESSAGE\n\t<line>\n\t    ^", one after the other.
[[nodiscard]] std::string format_diagnostics(const std::vector<Diagnostic>& diagnostics);
[[nodiscard]] Error diagnostics_error(const std::vector<Diagnostic>& diagnostics);

}  // namespace coffer::policy
