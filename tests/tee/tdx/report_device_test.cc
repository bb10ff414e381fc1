// TDREPORTs over a fake driver: the linker leads the attester's ioctl(2) here (--wrap).
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstring>
#include <functional>

#include "tee/tdx/device_linux.h"

namespace {

// struct tdx_report_req of include/uapi/linux/tdx-guest.h.
struct Request {
  std::uint8_t report_data[64];
  std::uint8_t td_report[1024];
};

// The driver's answer: 0, or an errno.
std::function<int(unsigned long, Request&)>& driver() {
  static std::function<int(unsigned long, Request&)> now;
  return now;
}

}  // namespace

extern "C" int __wrap_ioctl(int /*fd*/, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  auto* argument = va_arg(list, Request*);
  va_end(list);
  errno = driver()(request, *argument);
  return errno == 0 ? 0 : -1;
}

namespace coffer::tdx {
namespace {

std::array<std::uint8_t, 64> report_data() {
  std::array<std::uint8_t, 64> out{};
  out.fill(0x11);
  return out;
}

TEST(TdReportDevice, AsksTheDriverAsItsHeaderSays) {
  driver() = [](unsigned long request, Request& argument) {
    EXPECT_EQ(request, 0xC4405401UL);
    EXPECT_TRUE(std::ranges::all_of(argument.report_data, [](auto byte) { return byte == 0x11; }));
    std::memset(argument.td_report, 0xAB, sizeof argument.td_report);
    return 0;
  };
  const auto report = td_report("/dev/null", report_data());
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(*report, Bytes(kTdReportSize, 0xAB));
}

TEST(TdReportDevice, SaysWhatTheDriverSaid) {
  driver() = [](unsigned long, Request&) { return EIO; };
  const auto report = td_report("/dev/null", report_data());
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().to_string().find("Input/output error"), std::string::npos);
}

TEST(TdReportDevice, WithoutADeviceIsAFailedPrecondition) {
  driver() = [](unsigned long, Request&) { return 0; };
  EXPECT_EQ(td_report("/nonexistent", report_data()).error().code(), Code::kFailedPrecondition);
}

// No configfs-tsm: the attester goes from the TDREPORT to the quote generation service, and says
// which of the two is missing.
TEST(TdReportDevice, TheAttesterFallsBackToTheServiceAndNamesIt) {
  bool asked = false;
  driver() = [&](unsigned long, Request&) {
    asked = true;
    return 0;
  };
  DeviceSettings settings = DeviceSettings::below("/nonexistent");
  settings.paths.tdx_guest = "/dev/null";
  settings.qgs_port = 1;  // nobody listens there
  settings.qgs_timeout_ms = 100;
  const auto evidence = make_attester(settings)->evidence(Bytes(64, 0x11));
  EXPECT_TRUE(asked);
  ASSERT_FALSE(evidence);
  const std::string text = evidence.error().to_string();
  EXPECT_TRUE(text.contains("quote generation service") || text.contains("vsock")) << text;
}

}  // namespace
}  // namespace coffer::tdx
