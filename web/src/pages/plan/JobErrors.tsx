import { List } from '@mantine/core';

import { useJob } from '@/job/JobContext';
import { ProblemPanel } from '@/ui/ProblemPanel';

import classes from './JobErrors.module.css';

/** All that is wrong with the job, each with its place and what to do. */
export function JobErrors() {
  const { errors, problem } = useJob();
  if (problem != null) return <ProblemPanel problem={problem} />;
  if (errors.length === 0) return null;
  return (
    <List role="alert" listStyleType="none" className={classes.errors}>
      {errors.map((error) => (
        <List.Item key={error.where + error.message}>
          {error.where !== '' && <code className={classes.place}>{error.where}</code>} {error.message}{' '}
          <span className={classes.hint}>{error.hint}</span>
        </List.Item>
      ))}
    </List>
  );
}
