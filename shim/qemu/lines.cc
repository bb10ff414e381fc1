#include "shim/qemu/lines.h"

#include <algorithm>

namespace coffer::shim {
namespace {

constexpr std::size_t kMaxLine = 4096;

// Drops what is no printable ASCII or UTF-8, and the escape sequences of terminals ("ESC [ ... m").
std::string printable(std::string_view raw) {
  std::string text;
  bool escape = false;
  for (const char c : raw) {
    if (escape) {
      escape = (c >= '0' && c <= '?') || c == '[';
    } else if (c == '\x1b') {
      escape = true;
    } else if (c == '\t' || (c >= ' ' && c != '\x7f') || (static_cast<unsigned char>(c) >= 0x80)) {
      text += c;
    }
  }
  return text;
}

}  // namespace

void LineRing::complete(const std::function<void(const std::string&)>& on_line) {
  std::string line = printable(partial_);
  partial_.clear();
  if (line.empty()) return;
  if (on_line) on_line(line);
  size_ += line.size();
  lines_.push_back(std::move(line));
  while (size_ > capacity_ && !lines_.empty()) {
    size_ -= lines_.front().size();
    lines_.pop_front();
  }
}

void LineRing::append(std::string_view bytes,
                      const std::function<void(const std::string&)>& on_line) {
  for (const char c : bytes) {
    if (c == '\n') {
      complete(on_line);
      continue;
    }
    partial_ += c;
    if (partial_.size() >= std::min(kMaxLine, capacity_)) complete(on_line);
  }
}

void LineRing::finish(const std::function<void(const std::string&)>& on_line) {
  if (!partial_.empty()) complete(on_line);
}

}  // namespace coffer::shim
