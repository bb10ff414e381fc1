#include "policy/syntax/source.h"

#include <fmt/format.h>

#include <algorithm>

namespace coffer::policy {

std::string_view source_line(const Location& location) {
  if (location.file == nullptr) return {};
  const std::string_view text = location.file->text;
  const std::size_t at = std::min<std::size_t>(location.offset, text.size());
  const std::size_t before = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  const std::size_t start = before == std::string_view::npos ? 0 : before + 1;
  return text.substr(start, std::min(text.find('\n', at), text.size()) - start);
}

std::string place(const Location& location) {
  if (location.file == nullptr) return "?";
  return fmt::format("{}:{}", location.file->name, location.line);
}

std::string format_diagnostics(const std::vector<Diagnostic>& diagnostics) {
  std::string out;
  for (const Diagnostic& d : diagnostics) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{}:{}: {}: {}", place(d.location), d.location.column, d.code, d.message);
    constexpr std::size_t kWidest = 200;
    std::string_view line = source_line(d.location);
    std::size_t column = d.location.column == 0 ? 0 : d.location.column - 1;
    if (line.empty() || column > line.size()) continue;
    if (line.size() > kWidest) {  // a policy's constants stand on very long lines
      const std::size_t from = column > kWidest / 2 ? column - kWidest / 2 : 0;
      line = line.substr(from, kWidest);
      column -= from;
    }
    std::string shown(line);
    std::replace(shown.begin(), shown.end(), '\t', ' ');
    out += fmt::format("\n\t{}\n\t{:>{}}", shown, '^', column + 1);
  }
  return out;
}

Error diagnostics_error(const std::vector<Diagnostic>& diagnostics) {
  return {Code::kInvalidArgument, format_diagnostics(diagnostics)};
}

}  // namespace coffer::policy
