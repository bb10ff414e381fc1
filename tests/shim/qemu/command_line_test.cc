#include "shim/qemu/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/bytes.h"

namespace coffer::shim {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

VmSpec plain() {
  VmSpec spec;
  spec.name = "sandbox-abc";
  spec.uuid = "5f0f2a0c-3d3c-4d4b-9d5e-000000000001";
  spec.qemu = "/usr/bin/qemu-system-x86_64";
  spec.memory_mib = 2048;
  spec.kernel = "/k/vmlinux";
  spec.initrd = "/k/initrd";
  spec.kernel_params = "console=ttyS0 quiet";
  spec.cpu_features = "pmu=off";
  spec.monitor = 10;
  spec.console = 11;
  spec.agent = 12;
  return spec;
}

CommandLine composed(const VmSpec& spec) {
  auto line = compose(spec);
  EXPECT_TRUE(line) << line.error().to_string();
  return line ? *std::move(line) : CommandLine{};
}

// Every value given to an option.
std::vector<std::string> values(const CommandLine& line, std::string_view option) {
  std::vector<std::string> found;
  for (std::size_t i = 0; i + 1 < line.argv.size(); ++i) {
    if (line.argv[i] == option) found.push_back(line.argv[i + 1]);
  }
  return found;
}

TEST(CommandLine, OfAPlainPodUnderTcg) {
  const auto line = composed(plain());
  EXPECT_THAT(
      line.argv,
      ElementsAre(
          "/usr/bin/qemu-system-x86_64", "-name", "sandbox-abc,debug-threads=on", "-uuid",
          "5f0f2a0c-3d3c-4d4b-9d5e-000000000001", "-nodefaults", "-no-user-config", "-no-reboot",
          "-display", "none", "-vga", "none", "-machine",
          "q35,sata=off,smbus=off,vmport=off,smm=off,memory-backend=ram0", "-accel",
          "tcg,thread=multi", "-cpu", "max,pmu=off", "-smp", "1,cores=1,threads=1,sockets=1",
          "-rtc", "base=utc,driftfix=slew,clock=host", "-global",
          "kvm-pit.lost_tick_policy=discard", "-m", "2048M", "-object",
          "memory-backend-ram,id=ram0,size=2048M", "-kernel", "/k/vmlinux", "-initrd", "/k/initrd",
          "-append", "console=ttyS0 quiet", "-chardev", "socket,id=monitor,fd=3", "-mon",
          "chardev=monitor,mode=control", "-chardev", "socket,id=console,fd=4", "-serial",
          "chardev:console", "-device",
          "pci-bridge,id=pci-bridge-0,bus=pcie.0,chassis_nr=1,shpc=off,addr=2,io-reserve=4k,"
          "mem-reserve=1m,pref64-reserve=1m",
          "-chardev", "socket,id=agent,fd=5", "-device", "virtio-serial-pci,id=serial0,max_ports=2",
          "-device", "virtserialport,id=agent,bus=serial0.0,chardev=agent,name=org.coffer.agent.0",
          "-object", "rng-random,id=rng0,filename=/dev/urandom", "-device",
          "virtio-rng-pci,rng=rng0"));
  EXPECT_THAT(line.fds, ElementsAre(PassedFd{10, 3}, PassedFd{11, 4}, PassedFd{12, 5}));
}

TEST(CommandLine, KvmUsesTheHostsCpu) {
  auto spec = plain();
  spec.kvm = true;
  const auto line = composed(spec);
  EXPECT_THAT(values(line, "-accel"), ElementsAre("kvm"));
  EXPECT_THAT(values(line, "-cpu"), ElementsAre("host,pmu=off"));
}

VmSpec snp() {
  auto spec = plain();
  spec.tee = Tee::kSnp;
  spec.kvm = true;
  spec.firmware = "/f/AMDSEV.fd";
  spec.host_data = to_base64(Bytes(32, 7));
  return spec;
}

TEST(CommandLine, OfAnSnpPod) {
  const auto line = composed(snp());
  EXPECT_THAT(values(line, "-machine"),
              ElementsAre("q35,kernel_irqchip=split,confidential-guest-support=snp,"
                          "memory-backend=ram0"));
  EXPECT_THAT(values(line, "-cpu"), ElementsAre("EPYC-v4,pmu=off"));
  EXPECT_THAT(values(line, "-bios"), ElementsAre("/f/AMDSEV.fd"));
  EXPECT_THAT(values(line, "-object")[0],
              "sev-snp-guest,id=snp,cbitpos=51,reduced-phys-bits=1,kernel-hashes=on,policy=196608,"
              "host-data=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
  // Behind firmware the conventional bridge needs a root port.
  EXPECT_THAT(values(line, "-device"), testing::Contains(HasSubstr("pcie-pci-bridge")));
  auto spec = snp();
  spec.snp_id_block = "AAAA";
  spec.snp_id_auth = "BBBB";
  EXPECT_THAT(values(composed(spec), "-object")[0], HasSubstr(",id-block=AAAA,id-auth=BBBB,"));
}

TEST(CommandLine, OfATdxPod) {
  auto spec = snp();
  spec.tee = Tee::kTdx;
  spec.host_data = to_base64(Bytes(48, 0));
  const std::string id = spec.host_data;
  auto line = composed(spec);
  EXPECT_THAT(values(line, "-cpu"), ElementsAre("host,pmu=off"));
  EXPECT_EQ(values(line, "-object")[0], R"({"qom-type":"tdx-guest","id":"tdx","mrconfigid":")" +
                                            id +
                                            R"(","quote-generation-socket":{"type":"unix",)"
                                            R"("path":"/var/run/tdx-qgs/qgs.socket"}})");
  spec.tdx_quote_port = 4050;
  line = composed(spec);
  EXPECT_THAT(values(line, "-object")[0],
              HasSubstr(R"("quote-generation-socket":{"type":"vsock","cid":"2","port":"4050"}})"));
}

TEST(CommandLine, AnEmulatedTeeIsAPlainMachineWithFwCfgItems) {
  auto spec = plain();
  spec.tee = Tee::kSnp;
  spec.tee_emulation = true;
  spec.fw_cfg = {{"opt/org.coffer/launch", "/run/a,b"}};
  const auto line = composed(spec);
  EXPECT_THAT(values(line, "-machine")[0], Not(HasSubstr("confidential")));
  EXPECT_THAT(values(line, "-fw_cfg"), ElementsAre("name=opt/org.coffer/launch,file=/run/a,,b"));
}

TEST(CommandLine, ASoftwareTpmStandsBehindFirmwareThatRuns) {
  auto spec = plain();
  spec.tee = Tee::kTpm;
  spec.tee_emulation = true;
  for (const auto& [tpm, firmware] : {std::pair{-1, "/f/OVMF.fd"}, {20, ""}}) {
    spec.tpm = tpm;
    spec.firmware = firmware;
    const auto refused = compose(spec);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("tpm: needs a software TPM"));
  }
  spec.tpm = 20;
  spec.firmware = "/f/OVMF.fd";
  const auto line = composed(spec);
  EXPECT_THAT(values(line, "-bios"), ElementsAre("/f/OVMF.fd"));
  EXPECT_THAT(values(line, "-chardev"), testing::Contains("socket,id=tpm,fd=5"));
  EXPECT_THAT(values(line, "-tpmdev"), ElementsAre("emulator,id=tpm0,chardev=tpm"));
  EXPECT_THAT(values(line, "-device"), testing::Contains("tpm-crb,tpmdev=tpm0"));
  EXPECT_THAT(line.fds, testing::Contains(PassedFd{20, 5}));
}

TEST(CommandLine, EveryDescriptorGetsANumberOfItsOwn) {
  auto spec = plain();
  spec.nics = {{"02:00:00:00:00:01", {20, 21}, {30, 31}}, {"02:00:00:00:00:02", {22}, {}}};
  spec.shares = {{.tag = "kataShared", .kind = SharedFs::kVirtioFs, .path = "", .socket = 40}};
  const auto line = composed(spec);
  EXPECT_THAT(values(line, "-netdev"), ElementsAre("tap,id=network-0,fds=6:7,vhost=on,vhostfds=8:9",
                                                   "tap,id=network-1,fd=10"));
  EXPECT_THAT(values(line, "-device"),
              testing::IsSupersetOf(
                  {"virtio-net-pci,netdev=network-0,mac=02:00:00:00:00:01,romfile=,mq=on,vectors=6",
                   "virtio-net-pci,netdev=network-1,mac=02:00:00:00:00:02,romfile=",
                   "vhost-user-fs-pci,chardev=fs-0,tag=kataShared,queue-size=1024"}));
  ASSERT_EQ(line.fds.size(), 9U);
  for (std::size_t i = 0; i < line.fds.size(); ++i) {
    EXPECT_EQ(line.fds[i].target, 3 + static_cast<int>(i));
  }
  // virtio-fs needs memory the daemon can map.
  EXPECT_THAT(values(line, "-object")[0], "memory-backend-memfd,id=ram0,size=2048M,share=on");
}

TEST(CommandLine, SharesByNinePKeepOwnersAndDeviceNumbers) {
  auto spec = plain();
  spec.shares = {
      {.tag = "kataShared", .kind = SharedFs::kVirtio9p, .path = "/run/a,b", .socket = -1}};
  const auto line = composed(spec);
  EXPECT_THAT(values(line, "-fsdev"),
              ElementsAre("local,id=fs-0,path=/run/a,,b,security_model=passthrough,"
                          "multidevs=remap"));
}

TEST(CommandLine, DisksAreRawAndNamedBySerial) {
  auto spec = plain();
  spec.disks = {
      {.id = "initdata", .path = "/run/data.img", .read_only = true, .host_device = false},
      {.id = "d1", .path = "/dev/loop0", .read_only = false, .host_device = true}};
  spec.block_aio = "native";
  const auto line = composed(spec);
  EXPECT_THAT(values(line, "-blockdev"),
              ElementsAre("driver=raw,node-name=initdata,read-only=on,file.driver=file,"
                          "file.filename=/run/data.img,file.aio=threads,cache.direct=off,"
                          "cache.no-flush=off",
                          "driver=raw,node-name=d1,read-only=off,file.driver=host_device,"
                          "file.filename=/dev/loop0,file.aio=threads,cache.direct=off,"
                          "cache.no-flush=off"));
  EXPECT_THAT(values(line, "-device"),
              testing::Contains("virtio-blk-pci,id=disk-initdata,drive=initdata,serial=initdata"));
}

TEST(CommandLine, VsockTakesThePlaceOfTheSerialPort) {
  auto spec = plain();
  spec.transport = AgentTransport::kVsock;
  spec.vhost_vsock = 50;
  spec.guest_cid = 77;
  const auto line = composed(spec);
  EXPECT_THAT(values(line, "-device"),
              testing::Contains("vhost-vsock-pci,id=vsock0,vhostfd=5,guest-cid=77"));
  EXPECT_THAT(values(line, "-device"), Not(testing::Contains(HasSubstr("virtio-serial"))));
}

TEST(CommandLine, RefusesWhatQemuCouldNotRun) {
  const std::pair<void (*)(VmSpec&), const char*> kCases[] = {
      {[](VmSpec& s) { s.kernel.clear(); }, "no kernel"},
      {[](VmSpec& s) { s.memory_mib = 0; }, "no memory"},
      {[](VmSpec& s) { s.initrd.clear(); }, "no initrd and no disk"},
      {[](VmSpec& s) { s.agent = -1; }, "no agent socket"},
      {[](VmSpec& s) { s.monitor = -1; }, "no monitor"},
      {[](VmSpec& s) { s.kvm = false; }, "snp: needs KVM"},
      {[](VmSpec& s) { s.firmware.clear(); }, "snp: needs firmware"},
      {[](VmSpec& s) { s.host_data = "AAAA"; }, "want base64 of 32 bytes"},
      {[](VmSpec& s) { s.snp_id_block = "AAAA"; }, "want both or neither"},
      {[](VmSpec& s) { s.disks = {{"a,b", "/x", true, false}}; }, "disk id 'a,b'"},
      {[](VmSpec& s) { s.nics = {{"02:00:00:00:00:01", {1, 2}, {3}}}; }, "2 taps, 1 vhosts"},
      {[](VmSpec& s) { s.shares = {{"t", SharedFs::kVirtio9p, "/x", -1}}; }, "shares no files"},
      {[](VmSpec& s) { s.shares = {{"t", SharedFs::kVirtioFs, "", -1}}; }, "nothing serves it"},
  };
  for (const auto& [spoil, want] : kCases) {
    auto spec = snp();
    spoil(spec);
    const auto line = compose(spec);
    ASSERT_FALSE(line) << want;
    EXPECT_THAT(line.error().to_string(), HasSubstr(want));
  }
}

TEST(KernelCommandLine, UsersParametersReplaceOurs) {
  KernelParams params;
  params.agent_params = {"agent.log=debug"};
  params.user_params = "panic=9 extra";
  const std::string line = kernel_command_line(params);
  EXPECT_THAT(line, AllOf(HasSubstr(" panic=9 extra"), Not(HasSubstr("panic=1")),
                          HasSubstr("agent.log=debug"), HasSubstr("quiet")));
}

TEST(KernelCommandLine, OnlyTcgGivesUpMitigations) {
  KernelParams params;
  EXPECT_THAT(kernel_command_line(params), HasSubstr("mitigations=off"));
  params.kvm = true;
  EXPECT_THAT(kernel_command_line(params), Not(HasSubstr("mitigations")));
  params.kvm = false;
  params.confidential = true;
  EXPECT_THAT(kernel_command_line(params), Not(HasSubstr("mitigations")));
}

TEST(Hotplug, PathsNameBridgeAndSlot) { EXPECT_EQ(hotplug_pci_path(30), "02/1e"); }

}  // namespace
}  // namespace coffer::shim
