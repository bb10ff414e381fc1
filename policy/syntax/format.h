// Rego text laid out: one tab per open bracket, one space where there were several, no trailing
// space, at most one empty line in a row. Only white space changes, never the order of tokens or
// the lines they stand on, so comments stay where they are and the meaning does too.
#pragma once

#include <string>
#include <string_view>

namespace coffer::policy {

// `text` must parse. Formatting twice gives the same text.
[[nodiscard]] std::string format_source(std::string_view text);

}  // namespace coffer::policy
