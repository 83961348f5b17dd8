<?php
// The whole cycle of a portal through PHP's SoapClient: `php client.php URL OWNER FOLDER`.
// Reads FOLDER/payload.bin, writes what the job left to FOLDER/fetched.out, prints what it saw as JSON.
declare(strict_types=1);

const NOTE = "Gr\u{fc}\u{df}e <&> \"\u{4e16}\u{754c}\" \u{2713}";
[, $url, $owner, $folder] = $argv;
error_reporting(E_ALL);
set_error_handler(function (int $level, string $text, string $file, int $line): bool {
    throw new ErrorException($text, 0, $level, $file, $line);
});

function connect(string $wsdl): SoapClient
{
    $features = SOAP_SINGLE_ELEMENT_ARRAYS;
    return new SoapClient($wsdl, ['cache_wsdl' => WSDL_CACHE_NONE, 'exceptions' => true, 'features' => $features]);
}

function attribute(string $name, string $type, string $value): array
{
    return ['name' => $name, 'type' => $type, 'value' => $value];
}

function as_dict(object $ad): array
{
    return array_column(array_map(fn ($i) => [$i->name, $i->value], $ad->item), 1, 0);
}

function edited(object $template, array $changes): array
{
    $names = array_column($changes, 'name');
    $kept = array_filter($template->item, fn ($item) => !in_array($item->name, $names, true));
    return ['item' => array_merge(array_values($kept), $changes)];
}

function send_in_chunks(SoapClient $schedd, array $here, string $data): void
{
    $third = intdiv(strlen($data), 3) + 1;
    foreach ([0, 2 * $third, $third] as $offset) {
        $piece = ['name' => 'payload.bin', 'offset' => $offset, 'data' => substr($data, $offset, $third)];
        $status = $schedd->sendFile($here + $piece)->response;
        $status->code === 'SUCCESS' or throw new RuntimeException(json_encode($status));
    }
}

function submit_jobs(SoapClient $schedd, string $owner, string $data): array
{
    $begun = $schedd->beginTransaction(['duration' => 60])->response->transaction;
    $txn = $schedd->extendTransaction(['transaction' => $begun, 'duration' => 120])->response->transaction;
    $cluster = $schedd->newCluster(['transaction' => $txn])->response->integer;
    $job = $schedd->newJob(['transaction' => $txn, 'clusterId' => $cluster])->response->integer;
    $ids = ['clusterId' => $cluster, 'jobId' => $job];
    $here = ['transaction' => $txn] + $ids;
    $asked = ['owner' => $owner, 'type' => 'VANILLA', 'cmd' => '/bin/cat', 'args' => 'payload.bin'];
    $made = $schedd->createJobTemplate($ids + $asked + ['requirements' => null])->response->classAd;
    $changes = [
        attribute('Out', 'STRING-ATTR', 'job.out'),
        attribute('TransferInput', 'STRING-ATTR', 'payload.bin'),
        attribute('PortalNote', 'STRING-ATTR', NOTE),
    ];
    $ad = edited($made, $changes);
    $needs = $schedd->discoverJobRequirements(['jobAd' => $ad])->response;
    $file = ['name' => 'payload.bin', 'size' => strlen($data), 'hashType' => 'MD5HASH', 'hash' => md5($data)];
    $declared = [$schedd->declareFile($here + $file)->response->code, $schedd->declareFile($here + $file)->response->code];
    send_in_chunks($schedd, $here, $data);
    $ad = edited($made, [...$changes, attribute('Cmd', 'STRING-ATTR', 'payload.bin')]);
    $submitted = $schedd->submit($here + ['jobAd' => $ad])->response;
    $second = $schedd->newJob(['transaction' => $txn, 'clusterId' => $cluster])->response->integer;
    $there = ['clusterId' => $cluster, 'jobId' => $second];
    $asked = ['owner' => $owner, 'type' => 'VANILLA', 'cmd' => '/bin/sleep', 'args' => '600', 'requirements' => 'FALSE'];
    $never = $schedd->createJobTemplate($there + $asked)->response->classAd;
    $schedd->submit(['transaction' => $txn] + $there + ['jobAd' => $never]);
    $committed = $schedd->commitTransaction(['transaction' => $txn])->response;
    return [
        'transaction' => $begun->id,
        'extended' => $txn->duration,
        'cluster' => $cluster,
        'jobs' => [$job, $second],
        'leading' => array_map(fn ($item) => $item->name, array_slice($made->item, 0, 3)),
        'template' => as_dict($made),
        'requirements' => $needs->requirements->item,
        'declared' => $declared,
        'submitted' => $submitted->status->code,
        'committed' => $committed->code,
        'stale' => $schedd->newCluster(['transaction' => $txn])->response->status->code,
    ];
}

function job(SoapClient $schedd, array $where): array
{
    return as_dict($schedd->getJobAd($where)->response->classAd);
}

function await_completion(SoapClient $schedd, string $owner, int $cluster): array
{
    $constraint = "Owner == \"$owner\" && ClusterId == $cluster && ProcId == 0";
    $states = [];
    for ($i = 0; $i < 1500 && !in_array('4', $states, true); $i++) {
        $answer = $schedd->getJobAds(['constraint' => $constraint])->response;
        $state = as_dict($answer->classAdArray->item[0])['JobStatus'];
        in_array($state, $states, true) or $states[] = $state;
        usleep(100000);
    }
    return $states;
}

function gone(SoapClient $schedd, array $where): bool
{
    for ($i = 0; $i < 1500; $i++) {
        if ($schedd->getJobAd($where)->response->status->code === 'UNKNOWNJOB') {
            return true;
        }
        usleep(100000);
    }
    return false;
}

function fetch(SoapClient $schedd, array $where, int $size): string
{
    $data = '';
    while (strlen($data) < $size) {
        $span = ['name' => 'job.out', 'offset' => strlen($data), 'length' => min(40000, $size - strlen($data))];
        $answer = $schedd->getFile($where + $span)->response;
        $answer->status->code === 'SUCCESS' or throw new RuntimeException(json_encode($answer->status));
        $data .= $answer->data;
    }
    return $data;
}

function steer(SoapClient $schedd, array $where): array
{
    $mails = ['email-user' => false, 'email-admin' => false];
    $held = $schedd->holdJob($where + ['reason' => 'not "now"'] + $mails + ['system-hold' => true])->response;
    $seen = job($schedd, $where);
    $released = $schedd->releaseJob($where + ['reason' => 'go on'] + $mails)->response;
    $after_release = job($schedd, $where)['JobStatus'];
    $removed = $schedd->removeJob($where + ['reason' => 'enough', 'force-removal' => false])->response;
    $after_removal = job($schedd, $where)['JobStatus'];
    $closed = $schedd->closeSpool($where)->response;
    return [
        'codes' => [$held->code, $released->code, $removed->code, $closed->code],
        'states' => [$seen['JobStatus'], $after_release, $after_removal],
        'reason' => $seen['HoldReason'],
        'gone' => gone($schedd, $where),
    ];
}

function ask_collector(SoapClient $collector, string $owner): array
{
    $machines = $collector->queryStartdAds(['constraint' => 'Cpus >= 1 && MyType == "Machine"'])->result;
    $ad = ['item' => [attribute('MyType', 'STRING-ATTR', 'Portal'), attribute('Name', 'STRING-ATTR', $owner)]];
    $insert = fn () => $collector->insertAd(['type' => 'GENERIC-AD-TYPE', 'ad' => $ad])->status->code;
    $inserted = [$insert(), $insert()];
    $found = $collector->queryAnyAds(['constraint' => "Name == \"$owner\""])->result;
    $nothing = $collector->queryLicenseAds(['constraint' => 'FALSE'])->result;
    return [
        'machines' => count($machines->item),
        'inserted' => $inserted,
        'found' => array_map('as_dict', $found->item),
        'nothing' => count($nothing->item ?? []),
        'version' => $collector->getVersionString()->response->message,
    ];
}

$schedd = connect("$url/condorSchedd.wsdl");
$seen = submit_jobs($schedd, $owner, file_get_contents("$folder/payload.bin"));
$first = ['clusterId' => $seen['cluster'], 'jobId' => $seen['jobs'][0]];
$seen['rescheduled'] = $schedd->requestReschedule()->response->code;
$seen['states'] = await_completion($schedd, $owner, $seen['cluster']);
$seen['final'] = job($schedd, $first);
foreach ($schedd->listSpool($first)->response->info->item as $file) {
    $seen['spool'][$file->name] = (int) $file->size;
}
file_put_contents("$folder/fetched.out", fetch($schedd, $first, $seen['spool']['job.out']));
$seen['closed'] = $schedd->closeSpool($first)->response->code;
$seen['gone'] = gone($schedd, $first);
$seen['second'] = steer($schedd, ['clusterId' => $seen['cluster'], 'jobId' => $seen['jobs'][1]]);
$seen['version'] = $schedd->getVersionString()->response->message;
$seen['platform'] = $schedd->getPlatformString()->response->message;
$seen['collector'] = ask_collector(connect("$url/condorCollector.wsdl"), $owner);
echo json_encode($seen, JSON_THROW_ON_ERROR), "\n";
