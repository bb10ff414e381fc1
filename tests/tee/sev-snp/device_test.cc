// The guest's side, over a fake driver: the linker leads the attester's ioctl(2) here (--wrap).
#include "tee/sev-snp/device_linux.h"

#include <gtest/gtest.h>
#include <linux/sev-guest.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <filesystem>
#include <functional>

#include "base/fd.h"
#include "tee/sev-snp/report.h"

namespace {

// What the driver sees of one SNP_GET_EXT_REPORT, and may change.
struct Call {
  unsigned long request;
  snp_guest_request_ioctl* argument;
  snp_ext_report_req* report_request;
  snp_report_resp* response;

  void vmm_error(std::uint32_t error) const { argument->exitinfo2 = std::uint64_t{error} << 32U; }
  // u32 status, u32 size, 24 reserved, report
  void answer(std::uint32_t status, std::uint32_t size) const {
    std::memset(response->data, 0, sizeof response->data);
    std::memcpy(response->data, &status, 4);
    std::memcpy(response->data + 4, &size, 4);
    std::memset(response->data + 32, 0xAB, coffer::snp::kReportSize);
    argument->exitinfo2 = 0;
  }
};

std::function<int(const Call&)>& driver() {
  static std::function<int(const Call&)> now;
  return now;
}

}  // namespace

extern "C" int __wrap_ioctl(int /*fd*/, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  auto* argument = va_arg(list, snp_guest_request_ioctl*);
  va_end(list);
  // SAFETY: the attester passes its own objects' addresses, as it would to the kernel.
  const int error =
      driver()({.request = request,
                .argument = argument,
                .report_request = reinterpret_cast<snp_ext_report_req*>(argument->req_data),
                .response = reinterpret_cast<snp_report_resp*>(argument->resp_data)});
  errno = error;
  return error == 0 ? 0 : -1;
}

namespace coffer::snp {
namespace {

constexpr std::uint32_t kPage = 4096;

class Device : public testing::Test {
 protected:
  static Result<tee::Evidence> ask(unsigned vmpl = 0) {
    return ioctl_report("/dev/null", Bytes(64, 0x11), vmpl);
  }
};

TEST_F(Device, AsksTheDriverAsItsHeaderSays) {
  driver() = [](const Call& call) {
    EXPECT_EQ(call.request, 0xC0205302UL);
    EXPECT_EQ(call.argument->msg_version, 1);
    EXPECT_EQ(call.report_request->data.vmpl, 2U);
    EXPECT_TRUE(std::ranges::all_of(call.report_request->data.user_data,
                                    [](std::uint8_t octet) { return octet == 0x11; }));
    EXPECT_EQ(call.report_request->certs_address % kPage, 0U);
    EXPECT_EQ(call.report_request->certs_len, kPage);
    std::memset(reinterpret_cast<void*>(call.report_request->certs_address), 0xCE, kPage);
    call.answer(0, kReportSize);
    return 0;
  };
  const auto evidence = ask(2);
  ASSERT_TRUE(evidence) << evidence.error().to_string();
  EXPECT_EQ(evidence->tee, "snp");
  EXPECT_EQ(evidence->report, Bytes(kReportSize, 0xAB));
  EXPECT_EQ(evidence->auxiliary, Bytes(kPage, 0xCE));
}

TEST_F(Device, GivesMoreRoomWhenTheCertificatesNeedIt) {
  int calls = 0;
  driver() = [&](const Call& call) {
    if (++calls == 1) {
      call.report_request->certs_len = 3 * kPage;
      call.vmm_error(1);
      return ENOSPC;
    }
    EXPECT_EQ(call.report_request->certs_len, 3 * kPage);
    call.answer(0, kReportSize);
    return 0;
  };
  EXPECT_EQ(ask()->auxiliary.size(), 3 * kPage);
  EXPECT_EQ(calls, 2);
}

TEST_F(Device, RefusesSizesThatNoHostNeeds) {
  for (const std::uint32_t size : {0U, kPage + 1, 2U << 20U, 0xFFFFF000U}) {
    driver() = [&](const Call& call) {
      call.report_request->certs_len = size;
      call.vmm_error(1);
      return ENOSPC;
    };
    const auto evidence = ask();
    ASSERT_FALSE(evidence) << size;
    EXPECT_EQ(evidence.error().code(), Code::kInternal);
  }
}

TEST_F(Device, AsksAgainWhileTheHostIsBusyAndThenGivesUp) {
  int calls = 0;
  driver() = [&](const Call& call) {
    if (++calls < 3) {
      call.vmm_error(2);
      return EAGAIN;
    }
    call.answer(0, kReportSize);
    return 0;
  };
  EXPECT_TRUE(ask());
  EXPECT_EQ(calls, 3);
  calls = 0;
  driver() = [&](const Call& call) {
    ++calls;
    call.vmm_error(2);
    return EAGAIN;
  };
  EXPECT_EQ(ask().error().code(), Code::kUnavailable);
  EXPECT_EQ(calls, 16);
}

TEST_F(Device, SaysWhatTheFirmwareSaid) {
  driver() = [](const Call& call) {
    call.argument->exitinfo2 = 0x16;
    return EIO;
  };
  EXPECT_NE(ask().error().to_string().find("firmware error 0x16"), std::string::npos);
  driver() = [](const Call& call) {
    call.answer(0x16, kReportSize);
    return 0;
  };
  EXPECT_NE(ask().error().to_string().find("status 0x16"), std::string::npos);
  driver() = [](const Call& call) {
    call.answer(0, kReportSize - 1);
    return 0;
  };
  EXPECT_NE(ask().error().to_string().find("1183"), std::string::npos);
}

TEST_F(Device, AnAttesterFallsBackToItWithoutConfigfs) {
  driver() = [](const Call& call) {
    EXPECT_EQ(call.report_request->data.user_data[0], 'n');
    EXPECT_EQ(call.report_request->data.user_data[63], 0) << "padded with zeros";
    call.answer(0, kReportSize);
    return 0;
  };
  tee::DevicePaths paths = tee::DevicePaths::below("/nowhere");
  paths.sev_guest = "/dev/null";
  LinuxAttester attester({.paths = paths});
  EXPECT_TRUE(attester.evidence(to_bytes("nonce")));
  EXPECT_FALSE(attester.evidence({}));
  EXPECT_FALSE(attester.evidence(Bytes(65)));
  EXPECT_EQ(attester.extend(8, Bytes(48)).error().code(), Code::kUnimplemented);
  paths.sev_guest = "/nowhere/sev-guest";
  EXPECT_EQ(LinuxAttester({.paths = paths}).evidence(Bytes(64)).error().code(),
            Code::kFailedPrecondition);
}

}  // namespace
}  // namespace coffer::snp
