// TOML text to a table, for every reader of TOML: configuration files and initdata.
//
// Uses toml++, which is header-only and slow to compile: its parser is compiled once, in toml.cc,
// and this header goes into .cc files only.
#pragma once

// toml++ checks its own preconditions with assert, and 3.3 does not keep all of them: "[" and a
// control character end the process. Here a broken one is an exception, which parse_toml catches.
#define TOML_ASSERT(condition)                         \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::coffer::detail::toml_assertion(#condition))
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_HEADER_ONLY 0

#include <string_view>

#include "base/error.h"

namespace coffer::detail {
// Throws std::logic_error.
[[noreturn]] void toml_assertion(const char* condition);
}  // namespace coffer::detail

#include <toml++/toml.h>

namespace coffer {

// Parses TOML 1.0. `name` stands in messages, which read "name:line: what". Fails with
// kInvalidArgument; the text's size is the caller's to bound.
Result<toml::table> parse_toml(std::string_view text, std::string_view name);

}  // namespace coffer
