#include "shim/task/stdio_target.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>

#include "base/percent.h"

namespace coffer::shim {
namespace {

Result<std::string> plain(std::string_view text, Plus plus) {
  auto decoded = percent_decoded(text, plus);
  if (decoded) return decoded;
  return fail(
      std::move(decoded).error().with_context(fmt::format("read stdio address '{}'", text)));
}

Status parse_query(std::string_view query, StdioAddress& address) {
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    COFFER_TRY(std::string key, plain(pair.substr(0, equals), Plus::kIsBlank));
    COFFER_TRY(std::string value,
               plain(pair.substr(std::min(equals + 1, pair.size())), Plus::kIsBlank));
    address.query.emplace_back(std::move(key), std::move(value));
  }
  return {};
}

std::optional<StdioAddress::Kind> kind_of(std::string_view scheme) {
  using Kind = StdioAddress::Kind;
  if (scheme == "fifo") return Kind::kFifo;
  if (scheme == "file") return Kind::kFile;
  if (scheme == "binary") return Kind::kBinary;
  if (scheme == "binary-v2") return Kind::kBinaryV2;
  return std::nullopt;
}

}  // namespace

Result<StdioAddress> parse_stdio_address(std::string_view text) {
  StdioAddress address;
  if (text.empty()) return address;
  constexpr std::string_view kMark = "://";
  const auto mark = text.find(kMark);
  if (mark == std::string_view::npos) {
    address.kind = StdioAddress::Kind::kFifo;
    address.path = text;
  } else {
    const auto kind = kind_of(text.substr(0, mark));
    if (!kind) {
      return fail(Code::kInvalidArgument,
                  fmt::format("read stdio address '{}': scheme '{}' is not one of fifo, file, "
                              "binary, binary-v2",
                              text, text.substr(0, mark)));
    }
    address.kind = *kind;
    const std::string_view rest = text.substr(mark + kMark.size());
    const auto question = std::min(rest.find('?'), rest.size());
    COFFER_TRY(address.path, plain(rest.substr(0, question), Plus::kIsItself));
    COFFER_TRY_VOID(parse_query(rest.substr(std::min(question + 1, rest.size())), address));
  }
  if (!address.path.starts_with('/') || address.path.find('\0') != std::string::npos) {
    return fail(Code::kInvalidArgument,
                fmt::format("read stdio address '{}': want an absolute path", text));
  }
  return address;
}

Result<OutputTarget> open_output(const StdioAddress& address) {
  OutputTarget target;
  if (address.kind == StdioAddress::Kind::kFile) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(address.path).parent_path(), error);
    if (error)
      return fail_errno(error.value(), fmt::format("make the folder of '{}'", address.path));
    COFFER_TRY(target.fd, open_file(address.path, O_WRONLY | O_CREAT | O_APPEND, 0640));
    return target;
  }
  COFFER_TRY(target.fd, open_file(address.path, O_RDWR | O_NONBLOCK));
  struct stat info{};
  if (::fstat(target.fd.get(), &info) != 0) {
    return fail_errno(errno, fmt::format("look at '{}'", address.path));
  }
  target.pollable = S_ISFIFO(info.st_mode);
  return target;
}

Result<StdinEnds> open_stdin(const std::string& path) {
  StdinEnds ends;
  COFFER_TRY(ends.reader, open_file(path, O_RDONLY | O_NONBLOCK));
  COFFER_TRY(ends.keeper, open_file(path, O_WRONLY | O_NONBLOCK));
  return ends;
}

}  // namespace coffer::shim
