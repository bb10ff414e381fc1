#include "base/percent.h"

#include <fmt/format.h>

#include "base/bytes.h"

namespace coffer {

Result<std::string> percent_decoded(std::string_view text, Plus plus) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const auto byte = from_hex(text.substr(i + 1, 2));
      if (!byte || byte->size() != 1) {
        return fail(Code::kInvalidArgument,
                    fmt::format("invalid URL escape \"{}\"", text.substr(i, 3)));
      }
      out += static_cast<char>(byte->front());
      i += 2;
    } else {
      out += text[i] == '+' && plus == Plus::kIsBlank ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace coffer
