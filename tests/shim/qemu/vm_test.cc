// A real QEMU under TCG, with a kernel of a few bytes: it prints a text and then halts or resets.

#include "shim/qemu/vm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "tests/base/run_task.h"

namespace coffer::shim {
namespace {

using Executor = asio::any_io_executor;
using testing::HasSubstr;

constexpr const char* kQemu = "/usr/bin/qemu-system-x86_64";
constexpr std::uint32_t kLoadAddress = 0x100000;

void put_u32(std::string& out, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
}

// A Multiboot 1 image (Multiboot Specification 0.6.96, section 3.1) that writes `text` to the first
// serial port and then resets the machine, or halts for good.
std::string tiny_kernel(const std::string& text, bool reset) {
  constexpr std::uint32_t kMagic = 0x1BADB002;
  constexpr std::uint32_t kFlags = 0x00010000;  // the address fields are valid
  constexpr std::uint32_t kHeader = 32;
  std::string code;
  const std::string print =
      "\xAC"              // next: lodsb
      "\x84\xC0"          //       test al, al
      "\x74\x07"          //       jz done
      "\x66\xBA\xF8\x03"  //       mov dx, 0x3f8
      "\xEE"              //       out dx, al
      "\xEB\xF4";         //       jmp next
  const std::string stop = reset ? std::string(
                                       "\x66\xBA\xF9\x0C"  // mov dx, 0xcf9
                                       "\xB0\x06"          // mov al, 6: reset
                                       "\xEE")             // out dx, al
                                 : std::string();
  const std::string halt = "\xF4\xEB\xFD";  // hlt; jmp to it
  const std::size_t length = 5 + print.size() + stop.size() + halt.size();
  code += '\xBE';  // mov esi, text
  put_u32(code, kLoadAddress + kHeader + static_cast<std::uint32_t>(length));
  code += print + stop + halt + text + '\0';
  std::string image;
  for (const std::uint32_t field : {kMagic, kFlags, 0U - kMagic - kFlags, kLoadAddress,
                                    kLoadAddress, 0U, 0U, kLoadAddress + kHeader}) {
    put_u32(image, field);
  }
  return image + code;
}

class VmTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::access(kQemu, X_OK) != 0) GTEST_SKIP() << "needs " << kQemu;
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  VmOptions options(const std::string& text, bool reset) {
    VmOptions options;
    options.spec.name = "sandbox-test";
    options.spec.memory_mib = 64;
    options.spec.kernel = put("kernel", tiny_kernel(text, reset));
    options.spec.initrd = put("initrd", "x");
    options.run_dir = root_.native();
    options.monitor_timeout = std::chrono::minutes(5);
    return options;
  }
  std::string put(const std::string& name, std::string_view content) {
    EXPECT_TRUE(write_file(root_ / name, content));
    return root_ / name;
  }

  std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("coffer-vm-" + std::to_string(::getpid()));
};

TEST_F(VmTest, AGuestThatResetsHasEnded) {
  run_void([this](Executor executor) -> Task<void> {
    auto vm = co_await VirtualMachine::start(executor, options("hello\nworld\n", true));
    EXPECT_TRUE(vm) << vm.error().to_string();
    if (!vm) co_return;
    const auto ended = co_await (*vm)->wait_exit();
    EXPECT_EQ(ended->kind, VmExit::Kind::kShutdown) << ended->reason;
    EXPECT_EQ(ended->reason, "the guest ended the VM (guest-reset)");
    EXPECT_THAT((*vm)->console_tail(), testing::IsSupersetOf({"hello", "world"}));
    EXPECT_FALSE((*vm)->running());
    const auto again = co_await (*vm)->stop(std::chrono::milliseconds(0));
    EXPECT_EQ(again.kind, VmExit::Kind::kShutdown);
  });
}

TEST_F(VmTest, APanicGivesItsReason) {
  run_void([this](Executor executor) -> Task<void> {
    auto vm = co_await VirtualMachine::start(
        executor, options("Kernel panic - not syncing: no init\n", true));
    EXPECT_TRUE(vm);
    if (!vm) co_return;
    const auto ended = co_await (*vm)->wait_exit();
    EXPECT_EQ(ended->kind, VmExit::Kind::kPanic);
    EXPECT_EQ(ended->reason, "the guest's kernel panicked: no init");
  });
}

TEST_F(VmTest, StopsWhenAskedAndAtOnceWithoutGrace) {
  run_void([this](Executor executor) -> Task<void> {
    for (const int grace_ms : {60000, 0}) {
      auto vm = co_await VirtualMachine::start(executor, options("up\n", false));
      EXPECT_TRUE(vm);
      if (!vm) co_return;
      EXPECT_TRUE((*vm)->running());
      EXPECT_TRUE((*vm)->take_agent_socket().valid());
      EXPECT_FALSE((*vm)->take_agent_socket().valid());
      const auto ended = co_await (*vm)->stop(std::chrono::milliseconds(grace_ms));
      EXPECT_EQ(ended.kind, VmExit::Kind::kStopped);
      EXPECT_EQ(ended.status.signal, grace_ms == 0 ? SIGKILL : 0);
      EXPECT_EQ(::kill((*vm)->pid(), 0), -1);
    }
  });
}

TEST_F(VmTest, AKilledQemuSaysSo) {
  run_void([this](Executor executor) -> Task<void> {
    auto vm = co_await VirtualMachine::start(executor, options("up\n", false));
    EXPECT_TRUE(vm);
    if (!vm) co_return;
    EXPECT_EQ(::kill((*vm)->pid(), SIGKILL), 0);
    const auto ended = co_await (*vm)->wait_exit();
    EXPECT_EQ(ended->kind, VmExit::Kind::kKilled);
    EXPECT_THAT(ended->reason, HasSubstr("killed by signal 9"));
  });
}

TEST_F(VmTest, AQemuThatGivesUpIsQuoted) {
  run_void([this](Executor executor) -> Task<void> {
    auto bad = options("up\n", false);
    bad.spec.cpu_model = "no-such-cpu";
    auto vm = co_await VirtualMachine::start(executor, std::move(bad));
    EXPECT_FALSE(vm);
    if (vm) co_return;
    EXPECT_EQ(vm.error().code(), Code::kFailedPrecondition);
    EXPECT_THAT(vm.error().to_string(),
                testing::AllOf(HasSubstr("QEMU exited with status 1"), HasSubstr("no-such-cpu")));
    auto missing = options("up\n", false);
    missing.spec.qemu = "/nonexistent/qemu";
    vm = co_await VirtualMachine::start(executor, std::move(missing));
    EXPECT_FALSE(vm);
    EXPECT_THAT(vm.error().to_string(), HasSubstr("/nonexistent/qemu"));
  });
}

TEST_F(VmTest, TheMonitorPausesPlugsAndCounts) {
  run_void([this](Executor executor) -> Task<void> {
    auto vm = co_await VirtualMachine::start(executor, options("up\n", false));
    EXPECT_TRUE(vm);
    if (!vm) co_return;
    auto& machine = **vm;
    const auto threads = co_await machine.vcpu_threads();
    EXPECT_TRUE(threads);
    EXPECT_EQ(threads->size(), 1U);
    const auto paused = co_await machine.pause();
    EXPECT_TRUE(paused);
    const auto resumed = co_await machine.resume();
    EXPECT_TRUE(resumed);
    VmDisk disk;
    disk.id = "d1";
    disk.path = put("disk", std::string(4096, '\0'));
    const auto path = co_await machine.plug_disk(disk);
    EXPECT_EQ(path, "02/01") << path.error().to_string();
    const auto twice = co_await machine.plug_disk(disk);
    EXPECT_EQ(twice.error().code(), Code::kAlreadyExists);
    disk.id = "d2";
    disk.path = root_ / "absent";
    const auto absent = co_await machine.plug_disk(disk);
    EXPECT_THAT(absent.error().to_string(), HasSubstr("absent"));
    const auto unknown = co_await machine.unplug_disk("d2");
    EXPECT_EQ(unknown.error().code(), Code::kNotFound);
    // The slot of the failed one is free again.
    disk.path = root_ / "disk";
    disk.read_only = true;
    const auto next = co_await machine.plug_disk(disk);
    EXPECT_EQ(next, "02/02") << next.error().to_string();
    (void)co_await machine.stop(std::chrono::milliseconds(0));
  });
}

TEST_F(VmTest, AHandleThatGoesTakesItsQemuAlong) {
  run_void([this](Executor executor) -> Task<void> {
    auto vm = co_await VirtualMachine::start(executor, options("up\n", false));
    EXPECT_TRUE(vm);
    if (!vm) co_return;
    auto pidfd = open_pidfd((*vm)->pid());
    EXPECT_TRUE(pidfd);
    vm->reset();
    const auto gone = co_await wait_process_gone(pidfd->get());
    EXPECT_EQ(gone, true);
  });
}

}  // namespace
}  // namespace coffer::shim
