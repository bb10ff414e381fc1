// The last lines of a stream, bounded: for the diagnosis of what went wrong.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace coffer::shim {

class LineRing {
 public:
  // Keeps at most `capacity` bytes of whole lines; a longer line is cut into several.
  explicit LineRing(std::size_t capacity) : capacity_(capacity) {}

  // `on_line` gets each line as it is completed, without its end and without control characters
  // (a guest's console must not write escape sequences into our log).
  void append(std::string_view bytes, const std::function<void(const std::string&)>& on_line);
  // Treats what is left as a line.
  void finish(const std::function<void(const std::string&)>& on_line);

  [[nodiscard]] const std::deque<std::string>& lines() const { return lines_; }
  [[nodiscard]] std::vector<std::string> copy() const { return {lines_.begin(), lines_.end()}; }

 private:
  void complete(const std::function<void(const std::string&)>& on_line);

  std::size_t capacity_;
  std::size_t size_ = 0;
  std::deque<std::string> lines_;
  std::string partial_;
};

}  // namespace coffer::shim
