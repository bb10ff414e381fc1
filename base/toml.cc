#define TOML_IMPLEMENTATION
#include "base/toml.h"

#include <fmt/format.h>

#include <exception>
#include <stdexcept>
#include <string>

namespace coffer {

void detail::toml_assertion(const char* condition) { throw std::logic_error(condition); }

Result<toml::table> parse_toml(std::string_view text, std::string_view name) {
  try {
    toml::parse_result parsed = toml::parse(text, name);
    if (parsed) return std::move(parsed).table();
    const toml::parse_error& error = parsed.error();
    return fail(Code::kInvalidArgument,
                fmt::format("{}:{}: {}", name, error.source().begin.line, error.description()));
  } catch (const std::exception& error) {
    return fail(Code::kInvalidArgument,
                fmt::format("{}: not TOML (the parser stopped: {})", name, error.what()));
  }
}

}  // namespace coffer
