#include "policy/syntax/format.h"

#include <algorithm>

namespace coffer::policy {
namespace {

class Formatter {
 public:
  explicit Formatter(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) line();
    while (out_.ends_with("\n\n")) out_.pop_back();
    return std::move(out_);
  }

 private:
  void line() {
    skip_space();
    if (at_ >= text_.size()) return;
    if (text_[at_] == '\n') {
      ++at_;
      if (!out_.empty() && !out_.ends_with("\n\n")) out_ += '\n';
      return;
    }
    out_.append(indentation(), '\t');
    while (at_ < text_.size() && text_[at_] != '\n') token();
    while (out_.ends_with(' ') || out_.ends_with('\t')) out_.pop_back();
    out_ += '\n';
    if (at_ < text_.size()) ++at_;
  }

  // Closing brackets at the start of a line stand under what opened them.
  [[nodiscard]] std::size_t indentation() const {
    std::size_t closing = 0;
    for (std::size_t i = at_; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '}' || c == ']' || c == ')') {
        ++closing;
      } else if (c != ' ' && c != '\t') {
        break;
      }
    }
    return depth_ - std::min(depth_, closing);
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }

  void copy_quoted(char quote) {
    out_ += text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote) {
      if (quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size()) out_ += text_[at_++];
      out_ += text_[at_++];
    }
    if (at_ < text_.size()) out_ += text_[at_++];
  }

  void token() {
    const char c = text_[at_];
    if (c == ' ' || c == '\t' || c == '\r') {
      skip_space();
      out_ += ' ';
      return;
    }
    if (c == '"' || c == '`') return copy_quoted(c);
    if (c == '#') {
      while (at_ < text_.size() && text_[at_] != '\n') out_ += text_[at_++];
      return;
    }
    if (c == '{' || c == '[' || c == '(') ++depth_;
    if (c == '}' || c == ']' || c == ')') depth_ -= std::min<std::size_t>(depth_, 1);
    out_ += c;
    ++at_;
  }

  std::string_view text_;
  std::string out_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
};

}  // namespace

std::string format_source(std::string_view text) { return Formatter(text).run(); }

}  // namespace coffer::policy
