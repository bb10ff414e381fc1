#include "tee/tdx/device_linux.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/fd.h"
#include "tee/tdx/qgs.h"
#include "tee/tdx/quote.h"
#include "tee/tsm_linux.h"

namespace coffer::tdx {
namespace {

constexpr std::size_t kRegisterSize = 48;
constexpr std::size_t kReportData = 64;
constexpr std::size_t kMaxLog = std::size_t{4} << 20U;
constexpr unsigned kFirstWritableRtmr = 2;

// struct tdx_report_req (include/uapi/linux/tdx-guest.h).
struct ReportRequest {
  std::array<std::uint8_t, kReportData> report_data;
  std::array<std::uint8_t, kTdReportSize> td_report;
};
static_assert(sizeof(ReportRequest) == kReportData + kTdReportSize);
constexpr unsigned long kGetReport0 = _IOWR('T', 1, ReportRequest);

// Reads exactly so many bytes from a socket, each within the time.
Status read_exactly(int fd, std::span<std::uint8_t> out, int timeout_ms) {
  while (!out.empty()) {
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = poll(&wait, 1, timeout_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return fail_errno(errno, "poll quote generation service");
    if (ready == 0) {
      return fail(Code::kUnavailable, "read from quote generation service: timed out");
    }
    const ssize_t count = read(fd, out.data(), out.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "read from quote generation service");
    if (count == 0) {
      return fail(Code::kUnavailable, "read from quote generation service: it closed");
    }
    out = out.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<Fd> connect_vsock(unsigned cid, unsigned port) {
  Fd fd(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno(errno, "make a vsock socket");
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  // SAFETY: the socket API takes every family's address through sockaddr.
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, fmt::format("connect to quote generation service {}:{}", cid, port));
  }
  return fd;
}

Result<Bytes> ask_qgs(const DeviceSettings& settings, BytesView report) {
  COFFER_TRY(const Fd fd, connect_vsock(settings.qgs_cid, settings.qgs_port));
  COFFER_TRY_VOID(write_all(fd.get(), qgs_request(report), "quote generation service"));
  std::array<std::uint8_t, 4> prefix{};
  COFFER_TRY_VOID(read_exactly(fd.get(), prefix, settings.qgs_timeout_ms));
  COFFER_TRY(const std::size_t size, qgs_message_size(prefix));
  Bytes message(size);
  COFFER_TRY_VOID(read_exactly(fd.get(), message, settings.qgs_timeout_ms));
  return qgs_response(message);
}

Result<std::array<std::uint8_t, kReportData>> pad(BytesView report_data) {
  std::array<std::uint8_t, kReportData> out{};
  if (report_data.empty() || report_data.size() > out.size()) {
    return fail(Code::kInvalidArgument,
                fmt::format("ask for a quote: {} bytes of data, want 1..64", report_data.size()));
  }
  std::ranges::copy(report_data, out.begin());
  return out;
}

Bytes to_vector(const Digest48& digest) { return {digest.begin(), digest.end()}; }

class LinuxAttester final : public tee::Attester {
 public:
  explicit LinuxAttester(DeviceSettings settings) : settings_(std::move(settings)) {}

  [[nodiscard]] std::string_view tee() const override { return "tdx"; }

  [[nodiscard]] Result<tee::Evidence> evidence(BytesView report_data) override {
    tee::Evidence evidence;
    evidence.tee = tee();
    COFFER_TRY(evidence.report, quote(report_data));
    if (auto log = read_file(settings_.ccel, kMaxLog)) {
      evidence.manifest = to_bytes(*log);
    } else if (log.error().code() != Code::kNotFound) {
      return fail(std::move(log).error());
    }
    return evidence;
  }

  [[nodiscard]] Status extend(unsigned index, BytesView digest) override {
    const unsigned rtmr = rtmr_of_pcr(index);
    if (digest.size() != kRegisterSize) {
      return fail(Code::kInvalidArgument, fmt::format("extend RTMR{}: got {} bytes, want {}", rtmr,
                                                      digest.size(), kRegisterSize));
    }
    if (rtmr < kFirstWritableRtmr) {
      return fail(Code::kPermissionDenied,
                  fmt::format("extend RTMR{}: it is the firmware's", rtmr));
    }
    const auto path = settings_.measurements / fmt::format("rtmr{}:sha384", rtmr);
    auto fd = open_file(path, O_WRONLY);
    if (!fd && fd.error().code() == Code::kNotFound) {
      return fail(Code::kUnimplemented,
                  fmt::format("extend RTMR{}: no '{}' (Linux 6.16 and later have it)", rtmr,
                              path.string()));
    }
    if (!fd) return std::unexpected(std::move(fd).error());
    return write_all(fd->get(), digest, path.string());
  }

  // From what the TDX module says; a quote comes by way of the host, and serves only where an
  // emulator stands in, which has no module.
  [[nodiscard]] Result<Bytes> host_bound_data() override {
    if (auto text = read_file(settings_.measurements / "mrconfigid", kRegisterSize)) {
      if (text->size() == kRegisterSize) return to_bytes(*text);
    }
    std::error_code error;
    if (std::filesystem::exists(settings_.paths.tdx_guest, error) || error) {
      COFFER_TRY(const Bytes bytes, td_report(settings_.paths.tdx_guest, {}));
      COFFER_TRY(const TdReport report, parse_td_report(bytes));
      return to_vector(report.td.mr_config_id);
    }
    constexpr std::array<std::uint8_t, 1> kAnything{};
    COFFER_TRY(const Bytes bytes, quote(kAnything));
    COFFER_TRY(const Quote parsed, parse_quote(bytes));
    return to_vector(parsed.td.mr_config_id);
  }

 private:
  [[nodiscard]] Result<Bytes> quote(BytesView report_data) const {
    COFFER_TRY(const auto padded, pad(report_data));
    auto report = tee::tsm_report(settings_.paths.tsm_report, {.inblob = padded});
    if (report) {
      if (report->provider == "tdx_guest") return std::move(report->outblob);
      return fail(Code::kFailedPrecondition,
                  fmt::format("ask for a quote: the TSM provider is '{}', want 'tdx_guest'",
                              report->provider));
    }
    if (report.error().code() != Code::kFailedPrecondition) {
      return std::unexpected(std::move(report).error());
    }
    COFFER_TRY(const Bytes td, td_report(settings_.paths.tdx_guest, padded));
    return ask_qgs(settings_, td);
  }

  DeviceSettings settings_;
};

}  // namespace

Result<Bytes> td_report(const std::filesystem::path& device,
                        const std::array<std::uint8_t, 64>& report_data) {
  auto fd = open_file(device, O_RDWR);
  if (!fd && fd.error().code() == Code::kNotFound) {
    return fail(Code::kFailedPrecondition,
                fmt::format("ask for a TDREPORT: no '{}' (is this a TD?)", device.string()));
  }
  if (!fd) return std::unexpected(std::move(fd).error());
  ReportRequest request{.report_data = report_data, .td_report = {}};
  // SAFETY: the driver reads and writes exactly one ReportRequest.
  if (ioctl(fd->get(), kGetReport0, &request) != 0) {
    return fail_errno(errno, fmt::format("ask '{}' for a TDREPORT", device.string()));
  }
  return Bytes(request.td_report.begin(), request.td_report.end());
}

unsigned rtmr_of_pcr(unsigned pcr) {
  if (pcr == 1 || pcr == 7) return 0;
  if (pcr >= 2 && pcr <= 6) return 1;
  if (pcr >= 8 && pcr <= 15) return 2;
  return 3;
}

DeviceSettings DeviceSettings::below(const std::filesystem::path& root) {
  DeviceSettings settings;
  settings.paths = tee::DevicePaths::below(root);
  settings.measurements = root / "sys/devices/virtual/misc/tdx_guest/measurements";
  settings.ccel = root / "sys/firmware/acpi/tables/data/CCEL";
  return settings;
}

std::unique_ptr<tee::Attester> make_attester(DeviceSettings settings) {
  return std::make_unique<LinuxAttester>(std::move(settings));
}

}  // namespace coffer::tdx
