#include "tee/tdx/signed_json.h"

#include <fmt/format.h>

namespace coffer::tdx {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

// Walks one level of valid JSON. Each step checks its bounds all the same: this code does not lean
// on the validity that it asks for.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  void skip_space() { at_ = std::min(text_.find_first_not_of(kSpace, at_), text_.size()); }

  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // The raw text between the quotes.
  Result<std::string_view> string() {
    if (!accept('"')) return bad("want a string");
    const std::size_t start = at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2U : 1U;
    if (at_ >= text_.size()) return bad("string without an end");
    return text_.substr(start, at_++ - start);
  }

  // The raw text of an object.
  Result<std::string_view> object() {
    skip_space();
    const std::size_t start = at_;
    if (!accept('{')) return bad("want an object");
    for (std::size_t depth = 1; depth > 0;) {
      at_ = text_.find_first_of("\"{}", at_);
      if (at_ == std::string_view::npos) return bad("object without an end");
      if (text_[at_] == '"') {
        COFFER_TRY_VOID(string());
        continue;
      }
      depth = text_[at_] == '{' ? depth + 1 : depth - 1;
      ++at_;
    }
    return text_.substr(start, at_ - start);
  }

  [[nodiscard]] bool at_end() {
    skip_space();
    return at_ == text_.size();
  }

  [[nodiscard]] std::unexpected<Error> bad(std::string_view why) const {
    return fail(Code::kInvalidArgument,
                fmt::format("read signed JSON: offset {}: {}", std::min(at_, text_.size()), why));
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<SignedMember> find_signed_member(std::string_view text, std::string_view name) {
  Scanner scanner(text);
  SignedMember member;
  if (!scanner.accept('{')) return scanner.bad("want an object");
  do {
    COFFER_TRY(const std::string_view key, scanner.string());
    if (!scanner.accept(':')) return scanner.bad("want ':'");
    if (key == name && member.value.empty()) {
      COFFER_TRY(member.value, scanner.object());
    } else if (key == "signature" && member.signature.empty()) {
      COFFER_TRY(member.signature, scanner.string());
    } else {
      return scanner.bad(
          fmt::format("member '{}': want '{}' and 'signature', once each", key, name));
    }
  } while (scanner.accept(','));
  if (!scanner.accept('}') || !scanner.at_end()) return scanner.bad("want the end of the object");
  if (member.value.empty()) return scanner.bad(fmt::format("no member '{}'", name));
  if (member.signature.empty()) return scanner.bad("no member 'signature'");
  return member;
}

}  // namespace coffer::tdx
