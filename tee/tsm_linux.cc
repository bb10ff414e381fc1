#include "tee/tsm_linux.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <utility>

#include "base/fd.h"

namespace coffer::tee {
namespace {

constexpr std::size_t kMaxBlob = std::size_t{16} << 20U;  // the kernel's own limit since 6.16
constexpr std::size_t kMaxInblob = 64;
constexpr int kAttempts = 8;

// What a provider is asked through: removed with everything in it when the request ends.
class Entry {
 public:
  static Result<Entry> make(const std::filesystem::path& root) {
    std::array<std::uint8_t, 8> name{};
    if (getrandom(name.data(), name.size(), 0) != static_cast<ssize_t>(name.size())) {
      return fail_errno(errno, "name a TSM report");
    }
    auto path = root / fmt::format("coffer-{}", to_hex(name));
    if (mkdir(path.c_str(), 0700) != 0) {
      const int error = errno;
      if (error == ENXIO || error == ENOENT || error == EPERM) {
        return fail(Code::kFailedPrecondition,
                    fmt::format("make '{}': no TSM provider ({})", path.string(),
                                errno_error(error, "mkdir").message()));
      }
      return fail_errno(error, fmt::format("make '{}'", path.string()));
    }
    return Entry(std::move(path));
  }
  Entry(Entry&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Entry& operator=(Entry&&) = delete;
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  ~Entry() {
    if (!path_.empty()) rmdir(path_.c_str());
  }

  // One write(2): configfs takes a binary attribute as a whole.
  [[nodiscard]] Status write(std::string_view attribute, BytesView bytes) const {
    const auto path = path_ / attribute;
    COFFER_TRY(const Fd fd, open_file(path, O_WRONLY));
    const ssize_t count = ::write(fd.get(), bytes.data(), bytes.size());
    if (count < 0) return fail_errno(errno, fmt::format("write '{}'", path.string()));
    if (static_cast<std::size_t>(count) != bytes.size()) {
      return fail(Code::kInternal, fmt::format("write '{}': short write", path.string()));
    }
    // The kernel hands a binary attribute to its provider at close(2) and drops the provider's
    // answer: a refused write shows when outblob is read.
    return {};
  }
  [[nodiscard]] Result<std::string> read(std::string_view attribute) const {
    return read_file(path_ / attribute, kMaxBlob);
  }
  [[nodiscard]] Result<std::uint64_t> generation() const {
    COFFER_TRY(const std::string text, read("generation"));
    std::uint64_t value = 0;
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || (at != text.data() + text.size() && *at != '\n')) {
      return fail(Code::kInternal, fmt::format("read TSM generation: not a number: '{}'", text));
    }
    return value;
  }

 private:
  explicit Entry(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

std::string trim_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.pop_back();
  return text;
}

// Attributes that only some providers and kernels have.
Result<Bytes> read_optional(const Entry& entry, std::string_view attribute) {
  auto text = entry.read(attribute);
  if (text) return to_bytes(*text);
  if (text.error().code() == Code::kNotFound) return Bytes{};
  return fail(std::move(text.error()));
}

Status write_request(const Entry& entry, const TsmRequest& request, std::uint64_t& writes) {
  if (request.privilege_level) {
    COFFER_TRY_VOID(entry.write("privlevel", as_bytes(fmt::to_string(*request.privilege_level))));
    ++writes;
  }
  if (!request.service_provider.empty()) {
    COFFER_TRY_VOID(entry.write("service_provider", as_bytes(request.service_provider)));
    ++writes;
  }
  COFFER_TRY_VOID(entry.write("inblob", request.inblob));
  ++writes;
  return {};
}

// Nothing when another writer used the entry meanwhile.
Result<std::optional<TsmReport>> attempt(const Entry& entry, const TsmRequest& request) {
  COFFER_TRY(std::uint64_t expected, entry.generation());
  COFFER_TRY_VOID(write_request(entry, request, expected));
  TsmReport out;
  COFFER_TRY(const std::string outblob, entry.read("outblob"));
  out.outblob = to_bytes(outblob);
  COFFER_TRY(out.auxblob, read_optional(entry, "auxblob"));
  if (!request.service_provider.empty()) {
    COFFER_TRY(out.manifestblob, read_optional(entry, "manifestblob"));
  }
  COFFER_TRY(std::string provider, entry.read("provider"));
  out.provider = trim_line(std::move(provider));
  COFFER_TRY(const std::uint64_t after, entry.generation());
  if (after != expected) return std::optional<TsmReport>{};
  if (out.outblob.empty()) return fail(Code::kInternal, "read outblob: empty");
  return std::optional(std::move(out));
}

bool another_writer(const Error& error) {
  return error.code() == Code::kUnavailable || error.code() == Code::kAborted;
}

}  // namespace

Result<TsmReport> tsm_report(const std::filesystem::path& root, const TsmRequest& request) {
  if (request.inblob.empty() || request.inblob.size() > kMaxInblob) {
    return fail(
        Code::kInvalidArgument,
        fmt::format("ask for a TSM report: {} bytes of data, want 1..64", request.inblob.size()));
  }
  std::optional<Error> last;
  for (int i = 0; i < kAttempts; ++i) {
    COFFER_TRY(const Entry entry, Entry::make(root));
    auto report = attempt(entry, request);
    if (report && *report) return *std::move(*report);
    if (!report && !another_writer(report.error())) {
      return fail(std::move(report.error()).with_context("ask for a TSM report"));
    }
    if (!report) last = std::move(report.error());
  }
  if (last) return fail(std::move(*last).with_context("ask for a TSM report"));
  return fail(Code::kUnavailable, "ask for a TSM report: another writer got between 8 times");
}

Result<std::optional<std::string>> tsm_provider(const std::filesystem::path& root) {
  std::error_code error;
  if (!std::filesystem::is_directory(root, error)) return std::optional<std::string>{};
  auto entry = Entry::make(root);
  if (!entry) {
    if (entry.error().code() == Code::kFailedPrecondition) return std::optional<std::string>{};
    return fail(std::move(entry.error()));
  }
  COFFER_TRY(std::string provider, entry->read("provider"));
  return std::optional(trim_line(std::move(provider)));
}

}  // namespace coffer::tee
