#include "guest-image/archive_reader.h"

#include <archive_entry.h>
#include <fmt/format.h>

#include "guest-image/decompress.h"

namespace coffer::guest_image {
namespace {

constexpr std::size_t kBlock = std::size_t{64} * 1024;

}  // namespace

Error archive_error(archive* a, const std::string& what) {
  const char* text = archive_error_string(a);
  return {Code::kInvalidArgument, fmt::format("{}: {}", what, text == nullptr ? "failed" : text)};
}

Result<std::string> read_entry(archive* a, const std::string& what, std::size_t limit) {
  std::string content;
  std::string buffer(kBlock, '\0');
  for (;;) {
    const la_ssize_t got = archive_read_data(a, buffer.data(), buffer.size());
    if (got < 0) return fail(archive_error(a, what));
    if (got == 0) return content;
    if (content.size() + static_cast<std::size_t>(got) > limit) {
      return fail(Code::kResourceExhausted, fmt::format("{}: over {} bytes", what, limit));
    }
    content.append(buffer, 0, static_cast<std::size_t>(got));
  }
}

Result<std::string> decompress(std::string_view bytes, const std::string& what, std::size_t limit) {
  const Archive reader(archive_read_new());
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_entry* entry = nullptr;
  if (archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK ||
      archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) {
    return fail(archive_error(reader.get(), what));
  }
  return read_entry(reader.get(), what, limit);
}

}  // namespace coffer::guest_image
