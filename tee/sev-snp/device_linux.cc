#include "tee/sev-snp/device_linux.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sev-guest.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "base/byte_reader.h"
#include "base/fd.h"
#include "tee/sev-snp/report.h"
#include "tee/tsm_linux.h"

namespace coffer::snp {
namespace {

constexpr std::size_t kReportDataSize = 64;
constexpr std::size_t kResponseHeader = 32;  // u32 status, u32 size, 24 reserved
constexpr std::uint32_t kPage = 4096;
constexpr std::uint32_t kMaxCertificates = std::uint32_t{1} << 20U;
constexpr int kAttempts = 16;
constexpr std::uint32_t kVmmBusy = 2;           // vmm_error: the host asks to try again
constexpr std::uint32_t kVmmInvalidLength = 1;  // vmm_error: certs_len was too small
// Nothing the firmware returns: tells "the firmware answered" from "it was never asked".
constexpr std::uint64_t kNeverRan = 0xFF;

// Pages for the certificates, which the driver wants page-aligned.
class PageBuffer {
 public:
  explicit PageBuffer(std::uint32_t size)
      : size_(size),
        address_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  PageBuffer(const PageBuffer&) = delete;
  PageBuffer& operator=(const PageBuffer&) = delete;
  ~PageBuffer() {
    if (valid()) munmap(address_, size_);
  }
  [[nodiscard]] bool valid() const { return address_ != MAP_FAILED; }
  [[nodiscard]] void* address() const { return address_; }
  [[nodiscard]] Bytes copy(std::size_t size) const {
    Bytes out(std::min<std::size_t>(size, size_));
    std::memcpy(out.data(), address_, out.size());
    return out;
  }

 private:
  std::uint32_t size_;
  void* address_;
};

// Fields of exitinfo2: the firmware's error low, the VMM's high.
struct GuestErrors {
  std::uint32_t firmware = 0, vmm = 0;
};

struct Exchange {
  snp_ext_report_req request{};
  snp_report_resp response{};
  GuestErrors errors;
};

int ask(int fd, Exchange& exchange) {
  snp_guest_request_ioctl argument{};
  argument.msg_version = 1;
  // SAFETY: the driver takes user addresses as u64; both objects outlive the call.
  argument.req_data = reinterpret_cast<std::uintptr_t>(&exchange.request);
  argument.resp_data = reinterpret_cast<std::uintptr_t>(&exchange.response);
  argument.exitinfo2 = kNeverRan;
  const int result = ioctl(fd, SNP_GET_EXT_REPORT, &argument);
  const int error = result < 0 ? errno : 0;
  exchange.errors = {.firmware = static_cast<std::uint32_t>(argument.exitinfo2),
                     .vmm = static_cast<std::uint32_t>(argument.exitinfo2 >> 32U)};
  return error;
}

void back_off(int attempt) {
  constexpr long kStepNs = 5'000'000;
  const timespec wait{.tv_sec = 0, .tv_nsec = kStepNs * (attempt + 1)};
  nanosleep(&wait, nullptr);
}

Result<Bytes> report_of(const Exchange& exchange) {
  const BytesView bytes(exchange.response.data, sizeof(exchange.response.data));
  ByteReader reader(bytes, "SNP report response");
  COFFER_TRY(const std::uint32_t status, reader.u32_le());
  COFFER_TRY(const std::uint32_t size, reader.u32_le());
  if (status != 0) {
    return fail(Code::kInternal, fmt::format("ask for SNP report: firmware status {:#x}", status));
  }
  if (size != kReportSize) {
    return fail(Code::kInternal,
                fmt::format("ask for SNP report: {} bytes, want {}", size, kReportSize));
  }
  const BytesView report = bytes.subspan(kResponseHeader, kReportSize);
  return Bytes(report.begin(), report.end());
}

std::unexpected<Error> refused(int error, const GuestErrors& errors) {
  return fail(
      errno_error(error, fmt::format("ask for SNP report (firmware error {:#x}, VMM error {:#x})",
                                     errors.firmware, errors.vmm)));
}

}  // namespace

Result<tee::Evidence> ioctl_report(const std::filesystem::path& device, BytesView report_data,
                                   unsigned vmpl) {
  const auto fd = open_file(device, O_RDWR);
  if (!fd && fd.error().code() == Code::kNotFound) {
    return fail(
        Code::kFailedPrecondition,
        fmt::format("ask for SNP report: no '{}' (is this an SNP guest?)", device.string()));
  }
  if (!fd) return fail(fd.error());
  std::uint32_t certificates_size = kPage;
  auto exchange = std::make_unique<Exchange>();
  std::ranges::copy(report_data.first(std::min(report_data.size(), kReportDataSize)),
                    exchange->request.data.user_data);
  exchange->request.data.vmpl = vmpl;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const PageBuffer certificates(certificates_size);
    if (!certificates.valid()) return fail_errno(errno, "map pages for SNP certificates");
    // SAFETY: the driver takes user addresses as u64; the pages outlive the call.
    exchange->request.certs_address = reinterpret_cast<std::uintptr_t>(certificates.address());
    exchange->request.certs_len = certificates_size;
    const int error = ask(fd->get(), *exchange);
    if (error == 0) {
      COFFER_TRY(Bytes report, report_of(*exchange));
      return tee::Evidence{.tee = "snp",
                           .report = std::move(report),
                           .auxiliary = certificates.copy(exchange->request.certs_len),
                           .manifest = {}};
    }
    if (exchange->errors.vmm == kVmmInvalidLength) {
      certificates_size = exchange->request.certs_len;
      if (certificates_size == 0 || certificates_size > kMaxCertificates ||
          certificates_size % kPage != 0) {
        return fail(Code::kInternal,
                    fmt::format("ask for SNP report: host wants {} bytes for certificates",
                                certificates_size));
      }
    } else if (exchange->errors.vmm == kVmmBusy || error == EAGAIN || error == EINTR) {
      back_off(attempt);
    } else {
      return refused(error, exchange->errors);
    }
  }
  return fail(Code::kUnavailable, "ask for SNP report: the host stayed busy (try again)");
}

Result<tee::Evidence> LinuxAttester::evidence(BytesView report_data) {
  if (report_data.empty() || report_data.size() > kReportDataSize) {
    return fail(
        Code::kInvalidArgument,
        fmt::format("ask for SNP report: {} bytes of report data, want 1..64", report_data.size()));
  }
  // The kernel takes nothing but the whole field.
  Bytes padded(report_data.begin(), report_data.end());
  padded.resize(kReportDataSize);
  COFFER_TRY(const auto provider, tee::tsm_provider(settings_.paths.tsm_report));
  if (!provider) {
    return ioctl_report(settings_.paths.sev_guest, padded, settings_.vmpl.value_or(0));
  }
  if (*provider != "sev_guest") {
    return fail(Code::kFailedPrecondition,
                fmt::format("ask for SNP report: the TSM provider is '{}'", *provider));
  }
  COFFER_TRY(tee::TsmReport report,
             tee::tsm_report(settings_.paths.tsm_report,
                             {.inblob = padded, .privilege_level = settings_.vmpl}));
  return tee::Evidence{.tee = "snp",
                       .report = std::move(report.outblob),
                       .auxiliary = std::move(report.auxblob),
                       .manifest = std::move(report.manifestblob)};
}

Status LinuxAttester::extend(unsigned /*index*/, BytesView /*digest*/) {
  return fail(Code::kUnimplemented,
              "extend runtime measurement: SEV-SNP has no runtime measurement registers");
}

Result<Bytes> LinuxAttester::host_bound_data() {
  const Bytes zero(kReportDataSize);
  COFFER_TRY(const tee::Evidence taken, evidence(zero));
  COFFER_TRY(const Report report, parse_report(taken.report));
  return Bytes(report.host_data.begin(), report.host_data.end());
}

}  // namespace coffer::snp
