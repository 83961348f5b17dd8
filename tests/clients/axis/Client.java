import condor.*;
import java.io.ByteArrayOutputStream;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.rmi.RemoteException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The whole cycle of a portal through Axis 1.4, on which Condor's own Java library stood:
 * {@code Client URL OWNER FOLDER}. The stubs, in the package condor, are generated from the served WSDLs; the
 * address is the one the WSDLs name. Reads FOLDER/payload.bin, writes what the job left to FOLDER/fetched.out,
 * prints what it saw as JSON.
 */
public class Client {
    static final String NOTE = "Gr\u00fc\u00dfe <&> \"\u4e16\u754c\" \u2713";

    final CondorScheddPortType schedd;
    final CondorCollectorPortType collector;
    final String owner;
    Transaction txn;
    int cluster;

    Client(String owner) throws Exception {
        this.schedd = new CondorSchedd_ServiceLocator().getcondorSchedd();
        this.collector = new CondorCollector_ServiceLocator().getcondorCollector();
        this.owner = owner;
    }

    static ClassAdStructAttr string(String name, String value) {
        return new ClassAdStructAttr(name, ClassAdAttrType.value3, value); // the third of the WSDL: STRING-ATTR
    }

    static Map<String, Object> asMap(ClassAdStructAttr[] ad) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (ClassAdStructAttr item : ad) map.put(item.getName(), item.getValue());
        return map;
    }

    static ClassAdStructAttr[] edited(ClassAdStructAttr[] template, ClassAdStructAttr... changes) {
        Map<String, ClassAdStructAttr> items = new LinkedHashMap<>();
        for (ClassAdStructAttr item : template) items.put(item.getName(), item);
        for (ClassAdStructAttr item : changes) items.put(item.getName(), item);
        return items.values().toArray(new ClassAdStructAttr[0]);
    }

    ClassAdStructAttr[] template(int job, String cmd, String args, String requirements) throws RemoteException {
        return schedd.createJobTemplate(cluster, job, owner, UniverseType.VANILLA, cmd, args, requirements).getClassAd();
    }

    void send(int job, byte[] data) throws RemoteException {
        int third = data.length / 3 + 1;
        for (int offset : new int[] {0, 2 * third, third}) {
            byte[] piece = Arrays.copyOfRange(data, offset, Math.min(data.length, offset + third));
            Status status = schedd.sendFile(txn, cluster, job, "payload.bin", offset, piece);
            if (status.getCode() != StatusCode.SUCCESS) throw new IllegalStateException(status.getMessage());
        }
    }

    void submitJobs(Map<String, Object> seen, byte[] data) throws RemoteException {
        Transaction begun = schedd.beginTransaction(60).getTransaction();
        txn = schedd.extendTransaction(begun, 120).getTransaction();
        cluster = schedd.newCluster(txn).getInteger();
        int job = schedd.newJob(txn, cluster).getInteger();
        ClassAdStructAttr[] made = template(job, "/bin/cat", "payload.bin", null);
        ClassAdStructAttr[] ad = edited(
            made, string("Out", "job.out"), string("TransferInput", "payload.bin"), string("PortalNote", NOTE));
        seen.put("requirements", List.of(schedd.discoverJobRequirements(ad).getRequirements()));
        List<String> declared = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            Status status = schedd.declareFile(txn, cluster, job, "payload.bin", data.length, HashType.NOHASH, null);
            declared.add(status.getCode().getValue());
        }
        send(job, data);
        ad = edited(ad, string("Cmd", "payload.bin"));
        seen.put("submitted", schedd.submit(txn, cluster, job, ad).getStatus().getCode().getValue());
        int second = schedd.newJob(txn, cluster).getInteger();
        schedd.submit(txn, cluster, second, template(second, "/bin/sleep", "600", "FALSE"));
        seen.put("committed", schedd.commitTransaction(txn).getCode().getValue());
        seen.put("stale", schedd.newCluster(txn).getStatus().getCode().getValue());
        seen.put("transaction", begun.getId());
        seen.put("extended", txn.getDuration());
        seen.put("cluster", cluster);
        seen.put("jobs", List.of(job, second));
        seen.put("leading", List.of(made[0].getName(), made[1].getName(), made[2].getName()));
        seen.put("template", asMap(made));
        seen.put("declared", declared);
    }

    Map<String, Object> job(int job) throws RemoteException {
        return asMap(schedd.getJobAd(null, cluster, job).getClassAd());
    }

    List<Object> awaitCompletion() throws Exception {
        String constraint = "Owner == \"" + owner + "\" && ClusterId == " + cluster + " && ProcId == 0";
        List<Object> states = new ArrayList<>();
        for (int i = 0; i < 1500 && !states.contains("4"); i++) {
            Object state = asMap(schedd.getJobAds(null, constraint).getClassAdArray()[0]).get("JobStatus");
            if (!states.contains(state)) states.add(state);
            Thread.sleep(100);
        }
        return states;
    }

    boolean gone(int job) throws Exception {
        for (int i = 0; i < 1500; i++) {
            if (schedd.getJobAd(null, cluster, job).getStatus().getCode() == StatusCode.UNKNOWNJOB) return true;
            Thread.sleep(100);
        }
        return false;
    }

    byte[] fetch(int job, int size) throws RemoteException {
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        while (data.size() < size) {
            int length = Math.min(40_000, size - data.size());
            Base64DataAndStatus answer = schedd.getFile(null, cluster, job, "job.out", data.size(), length);
            if (answer.getStatus().getCode() != StatusCode.SUCCESS) throw new IllegalStateException();
            data.writeBytes(answer.getData());
        }
        return data.toByteArray();
    }

    Map<String, Object> steer(int job) throws Exception {
        List<Object> codes = new ArrayList<>();
        List<Object> states = new ArrayList<>();
        codes.add(schedd.holdJob(null, cluster, job, "not \"now\"", false, false, true).getCode().getValue());
        Map<String, Object> held = job(job);
        states.add(held.get("JobStatus"));
        codes.add(schedd.releaseJob(null, cluster, job, "go on", false, false).getCode().getValue());
        states.add(job(job).get("JobStatus"));
        codes.add(schedd.removeJob(null, cluster, job, "enough", false).getCode().getValue());
        states.add(job(job).get("JobStatus"));
        codes.add(schedd.closeSpool(null, cluster, job).getCode().getValue());
        return Map.of("codes", codes, "states", states, "reason", held.get("HoldReason"), "gone", gone(job));
    }

    Map<String, Object> askCollector() throws RemoteException {
        int machines = collector.queryStartdAds("Cpus >= 1 && MyType == \"Machine\"").length;
        ClassAdStructAttr[] ad = {string("MyType", "Portal"), string("Name", owner)};
        List<Object> inserted = new ArrayList<>();
        for (int i = 0; i < 2; i++) inserted.add(collector.insertAd(ClassAdType.value12, ad).getCode().getValue());
        List<Object> found = new ArrayList<>();
        for (ClassAdStructAttr[] one : collector.queryAnyAds("Name == \"" + owner + "\"")) found.add(asMap(one));
        ClassAdStructAttr[][] nothing = collector.queryLicenseAds("FALSE");
        return Map.of(
            "machines", machines,
            "inserted", inserted,
            "found", found,
            "nothing", nothing == null ? 0 : nothing.length,
            "version", collector.getVersionString().getMessage());
    }

    Map<String, Object> wholeCycle(Path folder) throws Exception {
        Map<String, Object> seen = new LinkedHashMap<>();
        submitJobs(seen, Files.readAllBytes(folder.resolve("payload.bin")));
        seen.put("rescheduled", schedd.requestReschedule().getCode().getValue());
        seen.put("states", awaitCompletion());
        seen.put("final", job(0));
        Map<String, Object> spool = new LinkedHashMap<>();
        for (FileInfo file : schedd.listSpool(null, cluster, 0).getInfo()) spool.put(file.getName(), file.getSize());
        seen.put("spool", spool);
        int size = ((Long) spool.get("job.out")).intValue();
        Files.write(folder.resolve("fetched.out"), fetch(0, size));
        seen.put("closed", schedd.closeSpool(null, cluster, 0).getCode().getValue());
        seen.put("gone", gone(0));
        seen.put("second", steer(1));
        seen.put("version", schedd.getVersionString().getMessage());
        seen.put("platform", schedd.getPlatformString().getMessage());
        seen.put("collector", askCollector());
        return seen;
    }

    static String json(Object value) {
        List<String> parts = new ArrayList<>();
        if (value instanceof Map<?, ?> map) {
            map.forEach((name, inner) -> parts.add(json(name) + ":" + json(inner)));
            return "{" + String.join(",", parts) + "}";
        }
        if (value instanceof Collection<?> list) {
            for (Object inner : list) parts.add(json(inner));
            return "[" + String.join(",", parts) + "]";
        }
        return value instanceof String text ? quoted(text) : String.valueOf(value);
    }

    static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            out.append(c < 0x20 || c > 0x7e || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : "" + c);
        }
        return out.append('"').toString();
    }

    public static void main(String[] args) throws Exception {
        System.out.write(json(new Client(args[1]).wholeCycle(Path.of(args[2]))).getBytes(StandardCharsets.UTF_8));
        System.out.println();
    }
}
